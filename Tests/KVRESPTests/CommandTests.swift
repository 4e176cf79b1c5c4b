import KVBase
import KVService
import NIOCore
import Testing

@testable import KVRESP

@Suite struct CommandTests {
    @Test(arguments: [
        ("PING", "+PONG\r\n"),
        ("ping hi", "$2\r\nhi\r\n"),
        ("ECHO x", "$1\r\nx\r\n"),
        ("SELECT 0", "+OK\r\n"),
        ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ("SELECT x", "-ERR value is not an integer or out of range\r\n"),
        ("GET none", "$-1\r\n"),
        ("SET k", "-ERR wrong number of arguments for 'set' command\r\n"),
        ("get", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("Get a b", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("MSET a", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("foo", "-ERR unknown command 'foo', with args beginning with: \r\n"),
        ("foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n"),
        ("SET k v FOO", "-ERR syntax error\r\n"),
        ("SET k v EX", "-ERR syntax error\r\n"),
        ("SET k v EX x", "-ERR value is not an integer or out of range\r\n"),
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET k v PX -1", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET k v EX 1 PX 1", "-ERR syntax error\r\n"),
        ("SET k v EX 1 KEEPTTL", "-ERR syntax error\r\n"),
        ("SET k v NX XX", "-ERR syntax error\r\n"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n"),
        ("PSETEX k -5 v", "-ERR invalid expire time in 'psetex' command\r\n"),
        ("INCRBY n x", "-ERR value is not an integer or out of range\r\n"),
        ("INCRBY n +1", "-ERR value is not an integer or out of range\r\n"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"),
        ("EXPIRE k x", "-ERR value is not an integer or out of range\r\n"),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
        ("PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"),
        ("EXPIRE k 1 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
        ("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"),
        ("EXPIRE k 1 FOO", "-ERR Unsupported option FOO\r\n"),
        ("TTL none", ":-2\r\n"),
        ("PTTL none", ":-2\r\n"),
        ("EXPIRETIME none", ":-2\r\n"),
        ("TYPE none", "+none\r\n"),
        ("STRLEN none", ":0\r\n"),
        ("PERSIST none", ":0\r\n"),
        ("EXPIRE none 1", ":0\r\n"),
        ("GETDEL none", "$-1\r\n"),
        ("GETSET none v", "$-1\r\n"),
        ("EXISTS a b", ":0\r\n"),
        ("DEL a", ":0\r\n"),
        ("MGET a b", "*2\r\n$-1\r\n$-1\r\n"),
        ("INCR n", ":1\r\n"),
        ("DECR n", ":-1\r\n"),
        ("INCRBY n 9223372036854775807", ":9223372036854775807\r\n"),
        ("DECRBY n 9223372036854775807", ":-9223372036854775807\r\n"),
        ("APPEND a xyz", ":3\r\n"),
        ("SETNX a x", ":1\r\n"),
        ("DBSIZE", ":0\r\n"),
        ("TIME", "*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n"),
        ("WAIT 1 0", ":1\r\n"),
        ("WAIT 1 -1", "-ERR timeout is negative\r\n"),
        ("COMMAND COUNT", ":\(commandTable.commands.count)\r\n"),
        ("COMMAND INFO nope", "*1\r\n$-1\r\n"),
        (
            "COMMAND INFO get",
            "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n"
        ),
        ("CLIENT ID", ":1\r\n"),
        ("CLIENT GETNAME", "$-1\r\n"),
        ("CLIENT SETNAME me", "+OK\r\n"),
        ("CLIENT SETINFO LIB-NAME lib", "+OK\r\n"),
        ("CLIENT NO-EVICT on", "+OK\r\n"),
        ("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
        ("CONFIG GET append*", "*4\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n"),
        ("READONLY", "+OK\r\n"),
        ("READWRITE", "+OK\r\n"),
        ("RESET", "+RESET\r\n"),
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
        ("DISCARD", "-ERR DISCARD without MULTI\r\n"),
        ("UNWATCH", "+OK\r\n"),
        ("WATCH a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("WATCH a", "+OK\r\n"),
        ("GETEX none", "$-1\r\n"),
        ("GETEX none EX 10", "$-1\r\n"),
        ("GETEX none EX", "-ERR syntax error\r\n"),
        ("GETEX none EX 0", "$-1\r\n"),
        ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n"),
        ("MSETNX a 1 b 2", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("MSETNX {k}a 1 {k}b 2", ":1\r\n"),
        ("GETRANGE none 0 -1", "$0\r\n\r\n"),
        ("GETRANGE none 0 x", "-ERR value is not an integer or out of range\r\n"),
        ("SETRANGE k -1 x", "-ERR offset is out of range\r\n"),
        ("SETRANGE k 536870911 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"),
        ("SETRANGE k 2 xy", ":4\r\n"),
        ("INCRBYFLOAT n 10.50", "$4\r\n10.5\r\n"),
        ("INCRBYFLOAT n x", "-ERR value is not a valid float\r\n"),
        ("RENAME a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("RENAME {k}a {k}b", "-ERR no such key\r\n"),
        ("RENAMENX {k}a {k}b", "-ERR no such key\r\n"),
        ("COPY {k}a {k}b", ":0\r\n"),
        ("COPY {k}a {k}a", "-ERR source and destination objects are the same\r\n"),
        ("COPY {k}a {k}b DB 1", "-ERR DB index is out of range\r\n"),
        ("TOUCH a b", ":0\r\n"),
        ("RANDOMKEY", "$-1\r\n"),
        ("OBJECT ENCODING none", "$-1\r\n"),
        ("OBJECT FREQ none", "-ERR no access times are kept: nothing is ever evicted\r\n"),
        ("MEMORY USAGE none", "$-1\r\n"),
        ("FLUSHALL", "+OK\r\n"),
        ("FLUSHDB ASYNC", "+OK\r\n"),
        ("FLUSHALL NOW", "-ERR syntax error\r\n"),
        ("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
        ("SLOWLOG LEN", ":0\r\n"),
        ("SLOWLOG GET", "*0\r\n"),
        ("SLOWLOG RESET", "+OK\r\n"),
        ("CONFIG SET maxclients 5", "+OK\r\n"),
        ("CONFIG SET maxclients 0", "-ERR CONFIG SET 'maxclients' - it takes 1 to 10000\r\n"),
        ("CONFIG SET appendonly yes", "+OK\r\n"),
        (
            "CONFIG SET appendonly no",
            "-ERR CONFIG SET 'appendonly' - it is 'yes' and cannot change while the node runs\r\n"
        ),
        ("CONFIG SET foo 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n"),
        ("CLUSTER KEYSLOT foo", ":12182\r\n"),
        ("CLUSTER COUNTKEYSINSLOT 12182", ":0\r\n"),
        ("CLUSTER GETKEYSINSLOT 12182 5", "*0\r\n"),
        ("CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid or out of range slot\r\n"),
        ("COMMAND GETKEYS mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("LPUSH a b", "-ERR 'lpush' is about lists; only strings are kept here: see COMMAND for what there is\r\n"),
        ("SORT a", "-ERR 'sort' is refused: there are no lists or sets to sort\r\n"),
        ("KV.SESSION KEEP 5", ":0\r\n"),
        ("KV.SESSION OPEN 5", "-ERR a session lives 1000 to 86400000 ms\r\n"),
        (
            "KV.SESSION DO 5 0 0 INCR a",
            "-ERR sequences count from 1, and the lowest is not above the command's own\r\n"
        ),
        ("KV.SESSION DO 5 1 1 GET a", "-ERR 'get' writes no key: send it without a session\r\n"),
        ("KV.SESSION DO 5 1 1 INCR a", "-UNKNOWN no such session\r\n"),
        ("KV.SESSION DO 5 1 1 KV.SESSION OPEN", "-ERR 'kv.session' writes no key: send it without a session\r\n"),
        ("KV.SESSION DO 5 1 1 FLUSHALL", "-ERR 'flushall' writes no key: send it without a session\r\n"),
        ("KV.SESSION DO 5 1 1 MULTI", "-ERR 'multi' writes no key: send it without a session\r\n"),
        ("KV.SESSION DO 5 1 1 WATCH a", "-ERR 'watch' writes no key: send it without a session\r\n"),
        ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("HELLO 2 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n"),
        ("SCAN x", "-ERR invalid cursor\r\n"),
        ("SCAN 0 COUNT 0", "-ERR syntax error\r\n"),
        ("SCAN 77", "-ERR cursor expired, start again at 0\r\n"),
        ("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("KEYS *", "*0\r\n"),
    ])
    func `a command on an empty store answers as Redis does`(line: String, answer: String) throws {
        let harness = try RESPHarness()
        #expect(try harness.send(encode(line: line)) == answer)
    }

    @Test(arguments: [
        (["SET k v", "GET k"], "$1\r\nv\r\n"),
        (["SET k v", "SET k w NX"], "$-1\r\n"),
        (["SET k w XX"], "$-1\r\n"),
        (["SET k v", "SET k w XX"], "+OK\r\n"),
        (["SET k v", "SET k w GET"], "$1\r\nv\r\n"),
        (["SET k v GET"], "$-1\r\n"),
        (["SET k v", "SET k w NX GET"], "$1\r\nv\r\n"),
        (["SET k v NX GET", "GET k"], "$1\r\nv\r\n"),
        (["SET k v XX GET"], "$-1\r\n"),
        (["SET k v EX 10", "TTL k"], ":10\r\n"),
        (["SET k v PX 1400", "TTL k"], ":1\r\n"),
        (["SET k v PX 1500", "TTL k"], ":2\r\n"),
        (["SET k v PX 1500", "PTTL k"], ":1500\r\n"),
        (["SET k v EX 10", "SET k w KEEPTTL", "TTL k"], ":10\r\n"),
        (["SET k v EX 10", "SET k w", "TTL k"], ":-1\r\n"),
        (["SET k v EXAT 1700000100", "EXPIRETIME k"], ":1700000100\r\n"),
        (["SET k v PXAT 1700000100500", "PEXPIRETIME k"], ":1700000100500\r\n"),
        (["SET k v PXAT 5", "GET k"], "$-1\r\n"),
        (["SETEX k 7 v", "TTL k"], ":7\r\n"),
        (["PSETEX k 7000 v", "PTTL k"], ":7000\r\n"),
        (["SET k v", "SETNX k w"], ":0\r\n"),
        (["SET k v EX 10", "GETEX k PERSIST", "TTL k"], ":-1\r\n"),
        (["SET k v", "GETEX k EX 10"], "$1\r\nv\r\n"),
        (["SET k v", "GETEX k EX 10", "TTL k"], ":10\r\n"),
        (["SET {k}a 1", "MSETNX {k}b 1 {k}a 2"], ":0\r\n"),
        (["SET {k}a 1", "MSETNX {k}b 1 {k}a 2", "EXISTS {k}b"], ":0\r\n"),
        (["SET k hello", "GETRANGE k 1 3"], "$3\r\nell\r\n"),
        (["SET k hello", "SUBSTR k -3 -1"], "$3\r\nllo\r\n"),
        (["SET k hello", "GETRANGE k -100 1"], "$2\r\nhe\r\n"),
        (["SET k hello", "GETRANGE k 4 2"], "$0\r\n\r\n"),
        (["SET k hello", "GETRANGE k 2 100"], "$3\r\nllo\r\n"),
        (["SET k hello", "GETRANGE k -1 -3"], "$0\r\n\r\n"),
        (["SET k hello", "GETRANGE k 0 -9223372036854775808"], "$1\r\nh\r\n"),
        (["SET k hello", "SETRANGE k 1 EY", "GET k"], "$5\r\nhEYlo\r\n"),
        (["SET n 3.0e3", "INCRBYFLOAT n 200"], "$4\r\n3200\r\n"),
        (["SET {k}a 1", "RENAME {k}a {k}b", "MGET {k}a {k}b"], "*2\r\n$-1\r\n$1\r\n1\r\n"),
        (["SET {k}a 1", "SET {k}b 2", "RENAMENX {k}a {k}b"], ":0\r\n"),
        (["SET {k}a 1", "SET {k}b 2", "COPY {k}a {k}b"], ":0\r\n"),
        (["SET {k}a 1", "SET {k}b 2", "COPY {k}a {k}b REPLACE", "GET {k}b"], "$1\r\n1\r\n"),
        (["SET k 12", "OBJECT ENCODING k"], "$3\r\nint\r\n"),
        (["SET k ab", "OBJECT ENCODING k"], "$6\r\nembstr\r\n"),
        (["SET k ab", "OBJECT REFCOUNT k"], ":1\r\n"),
        (["SET k ab", "MEMORY USAGE k SAMPLES 5"], ":67\r\n"),
        (["SET k v", "RANDOMKEY"], "$1\r\nk\r\n"),
        (["SET k v", "FLUSHALL", "DBSIZE"], ":0\r\n"),
        (["SET foo 1", "SET bar 1", "CLUSTER GETKEYSINSLOT 12182 5"], "*1\r\n$3\r\nfoo\r\n"),
        (
            ["CONFIG SET slowlog-max-len 5", "CONFIG GET slowlog-max-len"],
            "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n5\r\n"
        ),
        (["SET k v", "GETSET k w"], "$1\r\nv\r\n"),
        (["SET k v", "GETDEL k"], "$1\r\nv\r\n"),
        (["SET k v", "GETDEL k", "EXISTS k"], ":0\r\n"),
        (["MSET a 1 b 2 c 3", "MGET a x c"], "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n"),
        (["MSET a 1 b 2", "DEL a b c"], ":2\r\n"),
        (["MSET a 1 b 2", "UNLINK a"], ":1\r\n"),
        (["MSET a 1 b 2", "EXISTS a a b z"], ":3\r\n"),
        (["SET k hello", "STRLEN k"], ":5\r\n"),
        (["SET k hello", "APPEND k xx"], ":7\r\n"),
        (["SET k hello", "TYPE k"], "+string\r\n"),
        (["SET k 10", "INCRBY k 5"], ":15\r\n"),
        (["SET k x", "INCR k"], "-ERR value is not an integer or out of range\r\n"),
        (["SET k 9223372036854775807", "INCR k"], "-ERR increment or decrement would overflow\r\n"),
        (["SET k v", "EXPIRE k 100", "TTL k"], ":100\r\n"),
        (["SET k v", "EXPIRE k -1"], ":1\r\n"),
        (["SET k v", "EXPIRE k -1", "EXISTS k"], ":0\r\n"),
        (["SET k v", "EXPIREAT k 1700000100", "TTL k"], ":100\r\n"),
        (["SET k v", "PEXPIREAT k 1700000100000", "TTL k"], ":100\r\n"),
        (["SET k v EX 10", "EXPIRE k 20 NX"], ":0\r\n"),
        (["SET k v", "EXPIRE k 20 XX"], ":0\r\n"),
        (["SET k v EX 10", "EXPIRE k 20 GT"], ":1\r\n"),
        (["SET k v EX 10", "EXPIRE k 20 LT"], ":0\r\n"),
        (["SET k v EX 10", "PERSIST k"], ":1\r\n"),
        (["SET k v", "PERSIST k"], ":0\r\n"),
        (["MSET a 1 b 2", "DBSIZE"], ":2\r\n"),
        (["CLIENT SETNAME me", "CLIENT GETNAME"], "$2\r\nme\r\n"),
    ])
    func `commands change what later ones see`(lines: [String], answer: String) throws {
        let harness = try RESPHarness()
        for line in lines.dropLast() { _ = try harness.send(encode(line: line)) }
        #expect(try harness.send(encode(line: lines.last ?? "")) == answer)
    }

    @Test(arguments: [
        (ServiceError.Code.badRequest, "ERR why"), (.tooLarge, "ERR why"),
        (.notAnInteger, "ERR value is not an integer or out of range"),
        (.outOfRange, "ERR increment or decrement would overflow"), (.noLeader, "CLUSTERDOWN why"),
        (.notLeader, "TRYAGAIN why"),
        (.moving, "TRYAGAIN why"), (.overloaded, "OVERLOADED why"), (.diskFull, "DISKFULL why"),
        (.unknownOutcome, "UNKNOWN why"), (.timeout, "TRYAGAIN why"), (.corruption, "ERR stored data is damaged: why"),
        (.unavailable, "LOADING why"), (.cursorExpired, "ERR cursor expired, start again at 0"),
        (.internalError, "ERR internal: why"), (.unauthenticated, "NOAUTH why"), (.permissionDenied, "NOPERM why"),
        (.accessConflict, "ERR user_conflict: why"), (.accessNotFound, "ERR user_not_found: why"),
        (ServiceError.Code(rawValue: "novel"), "ERR novel: why"),
    ])
    func `each failure of the service has its error line`(code: ServiceError.Code, line: String) throws {
        let harness = try RESPHarness()
        harness.service.fail(with: ServiceError(code, "why"))
        for command in [
            ["GET", "k"], ["MGET", "a", "b"], ["MSET", "a", "1"], ["DBSIZE"], ["SCAN", "0"], ["KEYS", "*"],
        ] {
            #expect(try harness.send(encode(command)) == "-\(line)\r\n", "\(command)")
        }
    }

    @Test func `keys and values are bytes, not text`() throws {
        let harness = try RESPHarness()
        let odd: [UInt8] = [0, 0xff, 0x0d, 0x0a, 0x80, 0x20]
        let set = Array("*3\r\n$3\r\nSET\r\n$6\r\n".utf8) + odd + Array("\r\n$6\r\n".utf8) + odd + [0x0d, 0x0a]
        #expect(try harness.send(set) == "+OK\r\n")
        try harness.channel.writeInbound(
            ByteBuffer(bytes: Array("*2\r\n$3\r\nGET\r\n$6\r\n".utf8) + odd + [0x0d, 0x0a])
        )
        harness.channel.embeddedEventLoop.run()
        let reply = try harness.channel.readOutbound(as: ByteBuffer.self)
        #expect(reply.map { Array(buffer: $0) } == Array("$6\r\n".utf8) + odd + [0x0d, 0x0a])
    }

    @Test func `an empty value is a value`() throws {
        let harness = try RESPHarness()
        #expect(try harness.call("SET", "k", "") == "+OK\r\n")
        #expect(try harness.call("GET", "k") == "$0\r\n\r\n")
        #expect(try harness.call("MGET", "k") == "*1\r\n$0\r\n\r\n")
    }

    @Test func `RESP3 answers in its own forms`() throws {
        let harness = try RESPHarness()
        let hello = try harness.call("HELLO", "3", "SETNAME", "me")
        #expect(hello.hasPrefix("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"))
        #expect(hello.contains("$5\r\nproto\r\n:3\r\n"))
        #expect(try harness.call("GET", "k") == "_\r\n")
        #expect(try harness.call("MGET", "k") == "*1\r\n_\r\n")
        #expect(try harness.call("SET", "k", "v", "XX") == "_\r\n")
        #expect(try harness.call("CONFIG", "GET", "save") == "%1\r\n$4\r\nsave\r\n$0\r\n\r\n")
        #expect(try harness.call("INFO", "cluster").hasPrefix("="))
        #expect(try harness.call("HELLO", "2").hasPrefix("*14\r\n"))
        #expect(try harness.call("GET", "k") == "$-1\r\n")
    }

    @Test func `AUTH is refused clearly, also within HELLO`() throws {
        let harness = try RESPHarness()
        #expect(try harness.call("AUTH", "x").hasPrefix("-ERR AUTH <password> called without any password configured"))
        #expect(try harness.call("HELLO", "3", "AUTH", "u", "p").hasPrefix("-ERR AUTH"))
        #expect(try harness.call("GET", "k") == "$-1\r\n")
    }

    @Test func `a key over the limit is refused and the connection goes on`() throws {
        let harness = try RESPHarness(limits: RequestLimits(keyBytesMax: 4, valueBytesMax: 100))
        for command in [
            ["GET", "12345"], ["SET", "12345", "v"], ["MGET", "1", "12345"], ["MSET", "12345", "1"], ["DEL", "12345"],
        ] {
            #expect(try harness.send(encode(command)) == "-ERR key of 5 bytes is over the limit of 4\r\n")
        }
        #expect(harness.service.counts.requests == 0)
        #expect(try harness.call("SET", "1234", "v") == "+OK\r\n")
    }

    @Test func `SCAN goes through all keys page by page`() throws {
        let harness = try RESPHarness()
        for index in 0..<25 { _ = try harness.call("SET", "key:\(index)", "v") }
        var seen: Set<Substring> = []
        var cursor = "0"
        repeat {
            let lines = try harness.call("SCAN", cursor, "COUNT", "10", "MATCH", "key:*", "TYPE", "string")
                .split(separator: "\r\n", omittingEmptySubsequences: false)
            cursor = String(lines[2])
            for line in lines where line.hasPrefix("key:") { #expect(seen.insert(line).inserted) }
        } while cursor != "0"
        #expect(seen.count == 25)
    }

    @Test func `a cursor carries the node and is forgotten when too many follow`() throws {
        let harness = try RESPHarness(scanPositionsMax: 2)
        for index in 0..<5 { _ = try harness.call("SET", "\(index)", "v") }
        let first = try harness.call("SCAN", "0", "COUNT", "1").split(separator: "\r\n")[2]
        #expect(UInt64(first).map { $0 >> 48 } == 1)
        #expect(try harness.call("SCAN", String(first), "COUNT", "1").hasPrefix("*2"))
        #expect(try harness.call("SCAN", String(first), "COUNT", "1").hasPrefix("*2"))
        #expect(try harness.call("SCAN", String(first), "COUNT", "1") == "-ERR cursor expired, start again at 0\r\n")
    }

    @Test func `KEYS is bounded and says what to use instead`() throws {
        let harness = try RESPHarness { $0.keysMax = 2 }
        _ = try harness.call("MSET", "a", "1", "b", "2", "c", "3")
        #expect(try harness.call("KEYS", "[ab]") == "*2\r\n$1\r\na\r\n$1\r\nb\r\n")
        #expect(try harness.call("KEYS", "*").hasPrefix("-ERR KEYS finds more than 2 keys"))
    }

    @Test func `INFO has the sections that exporters read`() throws {
        let harness = try RESPHarness()
        _ = try harness.call("MSET", "a", "1", "b", "2")
        let info = try harness.call("INFO")
        for line in [
            "# Server\r\nredis_version:7.4.0", "# Clients\r\nconnected_clients:1", "# Memory\r\nmaxmemory:0",
            "# Stats\r\n",
            "# Replication\r\nrole:master\r\nconnected_slaves:2", "# Keyspace\r\n",
            "group1:role=leader,term=5,leader=1",
        ] { #expect(info.contains(line), "\(line)") }
        #expect(try harness.call("INFO", "keyspace").contains("db0:keys=2,expires=0"))
    }

    @Test func `INFO tells what the process takes, and nothing where that is not known`() throws {
        let harness = try RESPHarness {
            $0.processUsage = {
                ProcessUsage(
                    residentBytes: 5_000,
                    residentBytesPeak: 9_000,
                    userMicroseconds: 12_000_034,
                    systemMicroseconds: 500_000
                )
            }
        }
        let memory = "used_memory:5000\r\nused_memory_rss:5000\r\nused_memory_peak:9000\r\n"
        #expect(try harness.call("INFO", "memory").contains(memory))
        #expect(try harness.call("INFO", "cpu").contains("used_cpu_sys:0.500000\r\nused_cpu_user:12.000034\r\n"))
        let bare = try RESPHarness().call("INFO")
        for name in ["used_memory", "used_cpu", "master_repl_offset", "mem_fragmentation_ratio"] {
            #expect(!bare.contains(name), "\(name)")
        }
    }

    @Test func `CLIENT LIST shows those that were asked for`() throws {
        let harness = try RESPHarness()
        for line in ["CLIENT LIST ID 9 1", "CLIENT LIST TYPE normal", "CLIENT LIST TYPE NORMAL"] {
            #expect(try harness.send(encode(line: line)).contains("id=1 addr=127.0.0.1:1 "), "\(line)")
        }
        for line in ["CLIENT LIST ID 2", "CLIENT LIST TYPE pubsub"] {
            #expect(try harness.send(encode(line: line)) == "$0\r\n\r\n", "\(line)")
        }
        #expect(try harness.call("CLIENT", "KILL", "USER", "default") == ":0\r\n")
        #expect(try harness.call("CLIENT", "KILL", "LADDR", "?", "SKIPME", "no") == ":1\r\n")
        #expect(!harness.channel.isActive)
    }

    @Test func `COMMAND INFO and DOCS know subcommands, and a filter by category`() throws {
        let harness = try RESPHarness()
        #expect(
            try harness.call("COMMAND", "INFO", "config|get").hasPrefix("*1\r\n*10\r\n$10\r\nconfig|get\r\n:-3\r\n")
        )
        #expect(try harness.call("COMMAND", "DOCS", "OBJECT|Encoding").hasPrefix("*2\r\n$15\r\nobject|encoding\r\n"))
        #expect(
            try harness.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "transaction")
                == "*5\r\n$5\r\nmulti\r\n$4\r\nexec\r\n$7\r\ndiscard\r\n$5\r\nwatch\r\n$7\r\nunwatch\r\n"
        )
        #expect(try harness.call("ACL", "LIST").hasPrefix("-ERR 'acl' is refused: users"))
    }

    @Test func `CLIENT LIST shows who is connected`() throws {
        let harness = try RESPHarness()
        _ = try harness.call("CLIENT", "SETNAME", "me")
        #expect(try harness.call("CLIENT", "LIST").contains("id=1 addr=127.0.0.1:1 "))
        #expect(try harness.call("CLIENT", "LIST").contains(" name=me "))
        #expect(try harness.call("CLIENT", "SETNAME", "a b").hasPrefix("-ERR Client names cannot contain spaces"))
    }

    @Test(arguments: [
        ("*", "anything", true), ("", "", true), ("", "a", false), ("a*", "abc", true), ("a*c", "abbc", true),
        ("a*c", "abb", false),
        ("a?c", "abc", true), ("a?c", "ac", false), ("[abc]x", "bx", true), ("[^abc]x", "bx", false),
        ("[a-c]x", "bx", true),
        ("[c-a]x", "bx", true), ("\\*", "*", true), ("\\*", "a", false), ("[\\]]", "]", true), ("a[", "a", false),
        ("**a**", "a", true),
        ("*a*b*c*", "xxaxxbxxcxx", true), ("h[ae]llo", "hello", true), ("\\", "\\", true),
    ])
    func `a glob matches as in Redis`(pattern: String, text: String, matches: Bool) {
        #expect(GlobPattern(Array(pattern.utf8)).matches(Array(text.utf8)) == matches)
    }

    @Test func `every command is found in any case, and its arity is its table's`() throws {
        for (index, command) in commandTable.commands.enumerated() {
            let name = Array(command.name.uppercased().utf8)
            #expect(name.withUnsafeBytes { commandTable.find($0) } == index)
        }
    }
}
