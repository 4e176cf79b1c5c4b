import KVBase
import KVService
import NIOCore
import Testing

@testable import KVRESP

/// Sends command lines one after the other and returns the last answer.
private func last(_ harness: RESPHarness, _ lines: String...) throws -> String {
    var answer = ""
    for line in lines { answer = try harness.send(encode(line: line)) }
    return answer
}

@Suite struct TransactionTests {
    @Test func `commands after MULTI are queued and done by EXEC as one request`() throws {
        let harness = try RESPHarness()
        #expect(try last(harness, "MULTI") == "+OK\r\n")
        #expect(try last(harness, "SET {k}a 1") == "+QUEUED\r\n")
        _ = try last(
            harness,
            "INCR {k}a",
            "MGET {k}a {k}none",
            "DEL {k}a {k}none",
            "TTL {k}a",
            "PING",
            "GETRANGE {k}a 0 1"
        )
        let before = harness.service.counts
        #expect(
            try last(harness, "EXEC")
                == "*7\r\n+OK\r\n:2\r\n*2\r\n$1\r\n2\r\n$-1\r\n:1\r\n:-2\r\n+PONG\r\n$0\r\n\r\n"
        )
        #expect(harness.service.counts.requests == before.requests + 1)
        #expect(try last(harness, "EXEC") == "-ERR EXEC without MULTI\r\n")
    }

    @Test func `a command that fails in EXEC fails alone, as in Redis`() throws {
        let harness = try RESPHarness()
        let answer = try last(harness, "SET {k}a x", "MULTI", "INCR {k}a", "SET {k}b 1 EX x", "SET {k}b 1", "EXEC")
        #expect(
            answer == "*3\r\n-ERR value is not an integer or out of range\r\n"
                + "-ERR value is not an integer or out of range\r\n+OK\r\n"
        )
    }

    @Test(arguments: [
        ("NOPE", "-ERR unknown command 'NOPE', with args beginning with: \r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("KEYS *", "-ERR 'keys' is not supported in a transaction\r\n"),
        ("MSETNX a 1", "-ERR 'msetnx' is not supported in a transaction\r\n"),
    ])
    func `a command that is refused while queued makes EXEC refuse all`(line: String, answer: String) throws {
        let harness = try RESPHarness()
        #expect(try last(harness, "MULTI", "SET a 1", line) == answer)
        #expect(try last(harness, "EXEC") == "-EXECABORT Transaction discarded because of previous errors.\r\n")
        #expect(try last(harness, "GET a") == "$-1\r\n")
    }

    @Test func `nested MULTI and WATCH within are refused, and the queue goes on`() throws {
        let harness = try RESPHarness()
        #expect(try last(harness, "MULTI", "MULTI") == "-ERR MULTI calls can not be nested\r\n")
        #expect(try last(harness, "WATCH a") == "-ERR WATCH inside MULTI is not allowed\r\n")
        #expect(try last(harness, "SET a 1", "EXEC") == "*1\r\n+OK\r\n")
    }

    @Test func `keys of different slots are refused with nothing done`() throws {
        let harness = try RESPHarness()
        let answer = try last(harness, "MULTI", "SET a 1", "SET b 1", "EXEC")
        #expect(answer == "-CROSSSLOT Keys in request don't hash to the same slot\r\n")
        #expect(try last(harness, "EXISTS a b") == ":0\r\n")
    }

    @Test func `DISCARD and RESET forget the queue`() throws {
        let harness = try RESPHarness()
        #expect(try last(harness, "MULTI", "SET a 1", "DISCARD") == "+OK\r\n")
        #expect(try last(harness, "MULTI", "SET a 1", "RESET") == "+RESET\r\n")
        #expect(try last(harness, "GET a") == "$-1\r\n")
    }

    @Test(arguments: [
        (["SET {k}a 2"], "*-1\r\n"), (["GET {k}a"], "*1\r\n+OK\r\n"), (["SET {k}b 1"], "*1\r\n+OK\r\n"),
        (["UNWATCH", "SET {k}a 2"], "*1\r\n+OK\r\n"), (["SET {k}absent 1"], "*-1\r\n"),
        (["DEL {k}a", "SET {k}a 1"], "*-1\r\n"),
    ])
    func `EXEC after WATCH is done only where no watched key changed`(between: [String], answer: String) throws {
        let harness = try RESPHarness()
        _ = try last(harness, "SET {k}a 1", "WATCH {k}a {k}absent")
        for line in between { _ = try last(harness, line) }
        #expect(try last(harness, "MULTI", "SET {k}done 1", "EXEC") == answer)
        // The watch is over either way.
        _ = try last(harness, "SET {k}a 5")
        #expect(try last(harness, "MULTI", "SET {k}done 1", "EXEC") == "*1\r\n+OK\r\n")
    }

    @Test func `a pipelined WATCH, MULTI, EXEC waits for the versions`() throws {
        let harness = try RESPHarness()
        harness.service.hold()
        let lines = ["WATCH {k}a", "MULTI", "SET {k}a 1", "EXEC", "GET {k}a"]
        #expect(try harness.send(lines.flatMap { encode(line: $0) }) == "")
        for _ in 0..<4 {
            harness.service.release(keepHolding: true)
            _ = try harness.received()
        }
        harness.service.release()
        _ = try harness.received()
        #expect(try last(harness, "GET {k}a") == "$1\r\n1\r\n")
    }

    @Test func `RESP3 tells a broken watch by a null`() throws {
        let harness = try RESPHarness()
        let answer = try last(harness, "HELLO 3", "WATCH k", "SET k 1", "MULTI", "GET k", "EXEC")
        #expect(answer == "_\r\n")
    }

    @Test func `an empty transaction and one without keys are answered here`() throws {
        let harness = try RESPHarness()
        #expect(try last(harness, "MULTI", "EXEC") == "*0\r\n")
        #expect(try last(harness, "MULTI", "PING", "ECHO x", "EXEC") == "*2\r\n+PONG\r\n$1\r\nx\r\n")
    }

    @Test func `a queue has bounds`() throws {
        let harness = try RESPHarness { $0.queuedCommandsMax = 2 }
        let answer = try last(harness, "MULTI", "PING", "PING", "PING")
        #expect(answer == "-ERR the transaction is too long: send less between MULTI and EXEC\r\n")
        #expect(try last(harness, "EXEC") == "-EXECABORT Transaction discarded because of previous errors.\r\n")
    }
}

@Suite struct RESPSessionTests {
    private func open(_ harness: RESPHarness) throws -> String {
        let answer = try last(harness, "KV.SESSION OPEN")
        return String(answer.dropFirst().prefix { $0.isNumber })
    }

    @Test func `a command that is sent again is answered as before and done once`() throws {
        let harness = try RESPHarness()
        let session = try open(harness)
        for _ in 0..<3 { #expect(try last(harness, "KV.SESSION DO \(session) 1 1 INCR n") == ":1\r\n") }
        #expect(try last(harness, "KV.SESSION DO \(session) 2 1 INCR n") == ":2\r\n")
        #expect(try last(harness, "KV.SESSION KEEP \(session)") == ":1\r\n")
        #expect(try last(harness, "KV.SESSION CLOSE \(session)") == ":1\r\n")
        #expect(try last(harness, "KV.SESSION DO \(session) 3 1 INCR n").hasPrefix("-UNKNOWN"))
    }

    @Test func `commands of several keys and transactions are done once as well`() throws {
        let harness = try RESPHarness()
        let session = try open(harness)
        _ = try last(harness, "MSET {k}a 1 {k}b 2")
        for _ in 0..<2 { #expect(try last(harness, "KV.SESSION DO \(session) 1 1 DEL {k}a {k}b {k}c") == ":2\r\n") }
        for _ in 0..<2 { #expect(try last(harness, "KV.SESSION DO \(session) 2 1 MSETNX {k}a 1 {k}b 2") == ":1\r\n") }
        #expect(try last(harness, "KV.SESSION DO \(session) 3 1 DEL a b").hasPrefix("-CROSSSLOT"))
        for _ in 0..<2 {
            #expect(
                try last(harness, "MULTI", "INCR {k}a", "KV.SESSION DO \(session) 4 1 EXEC") == "*1\r\n:2\r\n"
            )
        }
        for _ in 0..<2 {
            #expect(try last(harness, "KV.SESSION DO \(session) 5 1 GETDEL {k}a") == "$1\r\n2\r\n")
        }
        #expect(try last(harness, "KV.SESSION DO \(session) 6 1 SET {k}a 1 EX x").hasPrefix("-ERR value is not"))
    }
}

@Suite struct RedirectTests {
    @Test func `a node that does not lead sends the client where the leader is`() throws {
        let harness = try RESPHarness { $0.isRedirecting = true }
        #expect(try last(harness, "SET foo 1") == "+OK\r\n")
        harness.service.follow(NodeID(2))
        #expect(try last(harness, "GET foo").hasPrefix("-TRYAGAIN"))
        #expect(try last(harness, "GET foo") == "-MOVED 12182 10.0.0.2:6400\r\n")
        #expect(try last(harness, "MULTI", "SET foo 1", "EXEC") == "-MOVED 12182 10.0.0.2:6400\r\n")
        #expect(try last(harness, "READONLY", "GET foo") == "$1\r\n1\r\n")
    }

    @Test(arguments: ["MGET a b", "MSET a 1 b 2", "DEL a b", "EXISTS a b", "TOUCH a b", "UNLINK a b"])
    func `keys of different slots are refused there`(line: String) throws {
        let harness = try RESPHarness { $0.isRedirecting = true }
        #expect(try last(harness, line) == "-CROSSSLOT Keys in request don't hash to the same slot\r\n")
    }

    @Test func `a cluster client is told who serves which slots`() throws {
        let harness = try RESPHarness { $0.isRedirecting = true }
        let slots = try last(harness, "CLUSTER SLOTS")
        #expect(slots.hasPrefix("*1\r\n*5\r\n:0\r\n:16383\r\n*4\r\n$8\r\n10.0.0.1\r\n:6400\r\n$40\r\n"))
        #expect(slots.contains("$8\r\n10.0.0.3\r\n:6400\r\n"))
        #expect(try last(harness, "CLUSTER INFO").contains("cluster_state:ok\r\n"))
        let nodes = try last(harness, "CLUSTER NODES")
        #expect(nodes.contains("10.0.0.1:6400@0 myself,master - 0 0 0 connected 0-16383\n"))
        #expect(nodes.contains("10.0.0.2:6400@0 slave "))
        #expect(try last(harness, "CLUSTER MYID").hasPrefix("$40\r\n"))
        #expect(try last(harness, "CLUSTER SHARDS").hasPrefix("*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n"))
        #expect(try last(harness, "INFO cluster").contains("cluster_enabled:1"))
    }
}

@Suite struct ToolTests {
    @Test func `slow commands are remembered without their arguments`() throws {
        let harness = try RESPHarness()
        _ = try last(harness, "CONFIG SET slowlog-log-slower-than 0")
        _ = try last(harness, "SET secret value")
        let answer = try last(harness, "SLOWLOG GET 1")
        #expect(answer.contains("$3\r\nset\r\n"))
        #expect(!answer.contains("secret"))
        #expect(try last(harness, "SLOWLOG RESET", "CONFIG SET slowlog-log-slower-than -1", "SLOWLOG LEN") == ":1\r\n")
    }

    @Test func `INFO counts commands`() throws {
        let harness = try RESPHarness()
        _ = try last(harness, "SET a 1", "SET a 2", "INCR b", "SET c x", "INCR c")
        #expect(try last(harness, "INFO commandstats").contains("cmdstat_set:calls=3,"))
        #expect(try last(harness, "INFO commandstats").contains("cmdstat_incr:calls=2,"))
        #expect(try !last(harness, "INFO").contains("cmdstat"))
        #expect(try last(harness, "INFO stats").contains("total_commands_processed:"))
    }

    @Test func `a client can be killed`() throws {
        let harness = try RESPHarness()
        #expect(try last(harness, "CLIENT KILL ID 77") == ":0\r\n")
        #expect(try last(harness, "CLIENT KILL ID 1") == ":0\r\n")
        #expect(try last(harness, "CLIENT KILL ID 1 SKIPME no") == ":1\r\n")
        #expect(!harness.channel.isActive)
    }
}
