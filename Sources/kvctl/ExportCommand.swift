import ArgumentParser
import Foundation
import KVClient

struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write keys and values as lines that import reads back.",
        discussion: """
            jsonl: {"key":…,"value":…}; bytes that are no UTF-8 come in base64 as key64 and value64. tsv: key and value; what is no plain \
            text comes as base64:… (import it with --decode-base64). Pages are read one after the other: each is linearizable within \
            a shard at its own moment, and there is no snapshot over all. Expiry is written to jsonl and not imported.
            """
    )

    @OptionGroup var global: GlobalOptions
    @Option(help: "jsonl or tsv.") var format = RecordFormat.jsonl
    @Option(help: "linearizable, lease or stale.") var consistency = KVClient.Consistency.linearizable
    @Option(help: "Only keys that start with this.") var prefix: String?
    @Option(help: "The first key, inclusive.") var start: String?
    @Option(help: "The end, exclusive.") var end: String?
    @Argument(help: "The file to write, or - for standard output.") var file = "-"

    private struct Payload: Encodable {
        let records: UInt64
        let bytes: UInt64
    }

    func validate() throws {
        guard format != .csv else { throw ValidationError("export writes jsonl or tsv") }
        guard global.output == .table || file != "-" else {
            throw ValidationError("-o json describes the export, so the records need a file")
        }
    }

    func run() async throws {
        let keys = global.keyFormat
        let query = ScanQuery(
            prefix: try prefix.map(keys.parse) ?? [],
            start: try start.map(keys.parse) ?? [],
            end: try end.map(keys.parse),
            consistency: consistency
        )
        try await global.perform { session in
            guard let writer = RecordWriter(format) else { throw ValidationError("export writes jsonl or tsv") }
            let output = try open()
            var bar = ProgressLine(unit: "records", total: nil)
            var cursor: String?
            var records: UInt64 = 0
            var bytes: UInt64 = 0
            repeat {
                let page = try await session.client.scan(query, cursor: cursor)
                var lines: [UInt8] = []
                for row in page.rows { writer.append(row, to: &lines) }
                try output.write(contentsOf: Data(lines))
                records += UInt64(page.rows.count)
                bytes += UInt64(lines.count)
                cursor = page.cursor
                bar.show(count: records, position: bytes)
            } while cursor != nil
            if file != "-" {
                try output.synchronize()
                try output.close()
            }
            bar.end()
            switch global.output {
            case .json: try writeJSON(Payload(records: records, bytes: bytes))
            case .table: write("\(records) records, \(bytes) bytes\n", to: .standardError)
            }
            return .ok
        }
    }

    private func open() throws -> FileHandle {
        guard file != "-" else { return .standardOutput }
        guard FileManager.default.createFile(atPath: file, contents: nil) else {
            throw CtlFailure(.error, "cannot_write", "cannot write \(file)")
        }
        return try FileHandle(forWritingTo: URL(fileURLWithPath: file))
    }
}
