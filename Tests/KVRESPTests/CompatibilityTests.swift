import Foundation
import Testing

@testable import KVRESP

/// A row of a table of docs/redis-compatibility.md.
struct CompatibilityRow: Sendable, CustomTestStringConvertible {
    var command: String
    var says: String

    var testDescription: String { command }

    /// The rows of the tables of string, generic and connection commands.
    static let all: [CompatibilityRow] = {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        let page = root.appendingPathComponent("docs/redis-compatibility.md")
        guard let text = try? String(contentsOf: page, encoding: .utf8) else { return [] }
        var rows: [CompatibilityRow] = []
        var isTable = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") {
                isTable = ["String", "Generic", "Connection"].contains { line.hasSuffix("\($0) commands") }
            }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard isTable, cells.count == 2, let first = cells[0].first, first.isUppercase else { continue }
            rows.append(CompatibilityRow(command: cells[0], says: cells[1]))
        }
        return rows
    }()
}

/// Every command of Redis in these groups (redis.io/commands), subcommands left out.
private let expected: Set<String> = [
    "APPEND", "DECR", "DECRBY", "DELEX", "DIGEST", "GET", "GETDEL", "GETEX", "GETRANGE", "GETSET", "INCR", "INCRBY",
    "INCRBYFLOAT", "LCS", "MGET", "MSET", "MSETEX", "MSETNX", "PSETEX", "SET", "SETEX", "SETNX", "SETRANGE", "STRLEN",
    "SUBSTR",
    "COPY", "DEL", "DUMP", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIRETIME", "KEYS", "MIGRATE", "MOVE", "OBJECT", "PERSIST",
    "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PTTL", "RANDOMKEY", "RENAME", "RENAMENX", "RESTORE", "SCAN", "SORT",
    "SORT_RO", "TOUCH", "TTL", "TYPE", "UNLINK", "WAIT", "WAITAOF",
    "AUTH", "CLIENT", "ECHO", "HELLO", "PING", "QUIT", "RESET", "SELECT",
]

@Suite struct CompatibilityTests {
    @Test func `the tables have every string, generic and connection command of Redis`() {
        let listed = CompatibilityRow.all.map(\.command)
        #expect(Set(listed) == expected)
        #expect(listed.count == expected.count)
    }

    @Test(arguments: CompatibilityRow.all)
    func `a row says what the server does`(row: CompatibilityRow) throws {
        let harness = try RESPHarness()
        let name = row.command.lowercased()
        let known = commandTable.commands.first { $0.name == name }
        if row.says.hasPrefix("refused") {
            #expect(known == nil)
            #expect(try harness.call(row.command, "a", "b").hasPrefix("-ERR '\(name)' is refused: "))
            return
        }
        #expect(known != nil)
        let isDifferent = row.says.hasPrefix("differs: ")
        #expect(isDifferent || row.says.hasPrefix("supported"))
        // After QUIT nobody is there to be asked for more.
        if row.command == "QUIT" {
            #expect(try harness.call("QUIT") == "+OK\r\n")
            return
        }
        for step in try #require(RedisExamples().blocks[row.command]) {
            let answer = try harness.send(encode(step.words))
            // Pages and listings have no order that Redis promises; here they have, and the examples are of one key.
            #expect(RedisExamples.notation(answer) == step.answer, "\(step.words)")
        }
        #expect((Self.differences[row.command] != nil) == isDifferent)
        for (words, answer) in Self.differences[row.command] ?? [] {
            _ = try harness.call("FLUSHALL")
            #expect(try harness.send(encode(line: words)).hasPrefix(answer), "\(words)")
        }
    }

    /// What has no row: transactions and what tools ask.
    @Test(arguments: ["CLUSTER", "COMMAND", "CONFIG", "FLUSHALL", "MEMORY", "MULTI", "SLOWLOG"])
    func `commands beside the tables answer as Redis does`(block: String) throws {
        let harness = try RESPHarness()
        for step in try #require(RedisExamples().blocks[block]) {
            let answer = try harness.send(encode(step.words))
            #expect(RedisExamples.notation(answer) == step.answer, "\(step.words)")
        }
    }

    @Test(arguments: ["CLIENT", "CLUSTER", "COMMAND", "CONFIG", "MEMORY", "OBJECT", "SLOWLOG"])
    func `HELP lists what a command can be asked for, and all of that is answered`(container: String) throws {
        let harness = try RESPHarness()
        let help = try harness.call(container, "help")
        let command = try #require(commandTable.commands.first { $0.name == container.lowercased() })
        #expect(!command.subcommands.isEmpty)
        #expect(
            help.hasPrefix("*\(2 * command.subcommands.count + (container == "COMMAND" ? 3 : 1))\r\n+\(container) ")
        )
        for part in command.subcommands {
            #expect(help.contains("\r\n+\(part.usage)\r\n"))
            let words = [container, part.name] + Array(repeating: "1", count: abs(part.arity) - 2)
            let answer = try harness.send(encode(words))
            #expect(!answer.isEmpty, "\(words)")
            #expect(!answer.contains("unknown subcommand") && !answer.contains("wrong number"), "\(words): \(answer)")
        }
    }

    /// How the rows that say *differs* differ: commands, and how the answers begin.
    static let differences: [String: [(words: String, answer: String)]] = [
        "AUTH": [("AUTH default secret", "-ERR AUTH <password> called without any password configured")],
        "CLIENT": [("CLIENT PAUSE 100", "-ERR "), ("CLIENT TRACKING ON", "-ERR ")],
        "COPY": [("COPY a b", "-CROSSSLOT "), ("COPY {k}a {k}b DB 1", "-ERR DB index is out of range")],
        "DEL": [("DEL a b c", ":0")],
        "EXPIRE": [("EXPIRE k 1 XX LT", "-ERR XX together with LT is not supported")],
        "INCRBYFLOAT": [
            ("INCRBYFLOAT f 1e21", "-ERR value is not a valid float: decimal numbers below 10^21"),
            ("INCRBYFLOAT f 0x10", "-ERR value is not a valid float: decimal numbers below 10^21"),
            ("INCRBYFLOAT f 123456789012345678.00000000000000001", "$36\r\n123456789012345678.00000000000000001"),
        ],
        "MSETNX": [("MSETNX a 1 b 2", "-CROSSSLOT ")],
        "OBJECT": [
            ("OBJECT FREQ k", "-ERR no access times are kept"), ("OBJECT IDLETIME k", "-ERR no access times are kept"),
        ],
        "PEXPIRE": [("PEXPIRE k 1 XX LT", "-ERR XX together with LT is not supported")],
        "PEXPIREAT": [("PEXPIREAT k 1 XX LT", "-ERR XX together with LT is not supported")],
        "EXPIREAT": [("EXPIREAT k 1 XX LT", "-ERR XX together with LT is not supported")],
        "RANDOMKEY": [("RANDOMKEY", "$-1")],
        "RENAME": [("RENAME a b", "-CROSSSLOT ")],
        "RENAMENX": [("RENAMENX a b", "-CROSSSLOT ")],
        "SCAN": [("SCAN 123456", "-ERR cursor expired, start again at 0")],
        "SELECT": [("SELECT 1", "-ERR DB index is out of range")],
        "UNLINK": [("UNLINK a b c", ":0")],
        "WAIT": [("WAIT 0 0", ":1")],
    ]
}
