import Foundation
import Testing

@testable import KVRESP

/// A row of a table of docs/redis-compatibility.md.
struct CompatibilityRow: Sendable, CustomTestStringConvertible {
    var command: String
    var says: String

    var testDescription: String { command }

    /// The rows of the tables of string and generic commands.
    static let all: [CompatibilityRow] = {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        let page = root.appendingPathComponent("docs/redis-compatibility.md")
        guard let text = try? String(contentsOf: page, encoding: .utf8) else { return [] }
        var rows: [CompatibilityRow] = []
        var isTable = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") {
                isTable = line.hasSuffix("String commands") || line.hasSuffix("Generic commands")
            }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard isTable, cells.count == 2, let first = cells[0].first, first.isUppercase else { continue }
            rows.append(CompatibilityRow(command: cells[0], says: cells[1]))
        }
        return rows
    }()
}

/// Every command of Redis in these two groups (redis.io/commands), subcommands left out.
private let expected: Set<String> = [
    "APPEND", "DECR", "DECRBY", "DELEX", "DIGEST", "GET", "GETDEL", "GETEX", "GETRANGE", "GETSET", "INCR", "INCRBY",
    "INCRBYFLOAT", "LCS", "MGET", "MSET", "MSETEX", "MSETNX", "PSETEX", "SET", "SETEX", "SETNX", "SETRANGE", "STRLEN",
    "SUBSTR",
    "COPY", "DEL", "DUMP", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIRETIME", "KEYS", "MIGRATE", "MOVE", "OBJECT", "PERSIST",
    "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PTTL", "RANDOMKEY", "RENAME", "RENAMENX", "RESTORE", "SCAN", "SORT",
    "SORT_RO", "TOUCH", "TTL", "TYPE", "UNLINK", "WAIT", "WAITAOF",
]

@Suite struct CompatibilityTests {
    @Test func `the tables have every string and generic command of Redis`() {
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
        #expect(row.says.hasPrefix("supported") || row.says.hasPrefix("differs: "))
        let command = try #require(known)
        // With as many arguments as it needs it is not unknown, and it does something or errs over the arguments' sense.
        let count = abs(command.arity)
        let arguments = [row.command] + Array(repeating: "1", count: count - 1)
        let answer = try harness.send(encode(arguments))
        #expect(!answer.isEmpty && !answer.contains("unknown command") && !answer.contains("wrong number"))
    }
}
