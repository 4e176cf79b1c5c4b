import ArgumentParser
import Foundation
import KVClient

struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "List keys in key order, a page at a time."
    )

    @OptionGroup var global: GlobalOptions
    @Option(help: "linearizable, lease or stale.") var consistency = KVClient.Consistency.linearizable
    @Option(help: "The first key, inclusive.") var start: String?
    @Option(help: "The end, exclusive.") var end: String?
    @Option(help: "The most keys to list.") var limit = 100
    @Option(help: "Go on from the cursor of an earlier page.") var cursor: String?
    @Flag(help: "Leave out values.") var keysOnly = false
    @Flag(help: "From the end to the start.") var reverse = false
    @Argument(help: "Only keys that start with this.") var prefix: String?

    private struct Payload: Encodable {
        struct Row: Encodable {
            let key: JSONBytes
            let value: JSONBytes?
            let version: String
            let expiresAt: UInt64?
        }
        let rows: [Row]
        let cursor: String?
    }

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit must be positive") }
    }

    func run() async throws {
        let format = global.keyFormat
        var query = ScanQuery(
            prefix: try prefix.map(format.parse) ?? [],
            start: try start.map(format.parse) ?? [],
            end: try end.map(format.parse),
            isReversed: reverse,
            keysOnly: keysOnly,
            consistency: consistency
        )
        try await global.perform { session in
            var rows: [ScanPage.Row] = []
            var next = cursor
            repeat {
                query.pageSize = min(1000, limit - rows.count)
                let page = try await session.client.scan(query, cursor: next)
                rows += page.rows
                next = page.cursor
            } while next != nil && rows.count < limit
            switch global.output {
            case .json:
                try writeJSON(
                    Payload(
                        rows: rows.map {
                            Payload.Row(
                                key: JSONBytes($0.key),
                                value: keysOnly ? nil : JSONBytes($0.value),
                                version: String($0.version),
                                expiresAt: $0.expiresAt > 0 ? $0.expiresAt : nil
                            )
                        },
                        cursor: next
                    )
                )
            case .table:
                for row in rows { write(format.show(row.key) + (keysOnly ? "" : "\t" + shownText(row.value)) + "\n") }
                if let next { write("more: --cursor \(next)\n", to: .standardError) }
            }
            return .ok
        }
    }
}
