import ArgumentParser
import Dispatch
import Foundation
import KVClient
import Synchronization

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Store the records of a TSV, CSV or JSON-lines file, many in flight, over all endpoints.",
        discussion: """
            A record is counted as acknowledged only when a node said so. Records whose answer is lost, or that no node can serve \
            for now, are sent again: storing the same value under the same key twice does no harm, as long as nobody else writes \
            these keys meanwhile. Records with one key keep the file's order. What is not acknowledged at the end is reported \
            by line, on standard error and in FILE.unacknowledged, with exit 7; FILE.kvimport keeps how far it came, and \
            --resume goes on from there (it checks that the file is the same).

              kvctl import Unihan_Readings.txt --comment '#' --key-column 1,2 --value-column 3
            """
    )

    @OptionGroup var global: GlobalOptions
    @Option(help: "tsv, csv or jsonl. Default: by the file's name, else tsv.") var format: RecordFormat?
    @Option(
        help: ArgumentHelp(
            "The columns of the key: numbers from 1, or names of the header or of JSON members. Default: 1; key for jsonl.",
            valueName: "a,b"
        )
    )
    var keyColumn: String?
    @Option(help: "What comes between the columns of a key.") var keySeparator = "/"
    @Option(help: "The column of the value, * for the whole record. Default: the one that is left; value for jsonl.")
    var valueColumn: String?
    @Flag(help: "The first record names the columns.") var header = false
    @Option(help: "Pass over lines that start with this character.") var comment: String?
    @Flag(help: "Decode columns that start with base64:, as export to tsv writes them.") var decodeBase64 = false
    @Option(help: "The most records sent and not yet acknowledged.") var inFlight = 1024
    @Option(help: ArgumentHelp("Give up after this long without an acknowledgement.", valueName: "duration"))
    var giveUpAfter = TimeSpan(.seconds(30))
    @Option(help: ArgumentHelp("Write the line and key of each acknowledged record here.", valueName: "path"))
    var acknowledged: String?
    @Option(
        help: ArgumentHelp("Keep the number of acknowledged records here, renewed every 100 ms.", valueName: "path")
    )
    var progressFile: String?
    @Option(
        help: ArgumentHelp(
            "Where how far it came is kept. Default: FILE.kvimport; none for standard input.",
            valueName: "path"
        )
    )
    var stateFile: String?
    @Flag(help: "Go on where an earlier import of this file ended.") var resume = false
    @Argument(help: "The file, or - for standard input.") var file: String

    func validate() throws {
        guard (1...1_000_000).contains(inFlight) else { throw ValidationError("--in-flight takes 1 to 1000000") }
        if let comment {
            guard comment.utf8.count == 1 else { throw ValidationError("--comment takes one ASCII character") }
        }
        guard !resume || file != "-" || stateFile != nil else {
            throw ValidationError("--resume from standard input needs --state-file")
        }
    }

    private func specification() -> RecordSpecification {
        let byName: RecordFormat =
            switch (file as NSString).pathExtension.lowercased() {
            case "csv": .csv
            case "jsonl", "ndjson": .jsonl
            default: .tsv
            }
        let format = self.format ?? byName
        let columns = keyColumn ?? (format == .jsonl ? "key" : "1")
        return RecordSpecification(
            format: format,
            keyColumns: columns.split(separator: ",").map { Column(String($0)) },
            keySeparator: Array(keySeparator.utf8),
            valueColumn: valueColumn.map { Column($0) },
            hasHeader: header,
            comment: comment?.utf8.first,
            decodesBase64: decodeBase64
        )
    }

    func run() async throws {
        try await global.perform { session in
            let isStandardInput = file == "-"
            let source = try FileSource(path: isStandardInput ? nil : file)
            var options = ImportOptions(specification())
            options.inFlightMax = inFlight
            options.requestTimeout = global.timeout.duration
            options.giveUpAfter = giveUpAfter.duration
            options.credentials = session.client.configuration.credentials
            options.tls = session.client.configuration.tls
            options.stateFile = stateFile ?? (isStandardInput ? nil : file + ".kvimport")
            options.resumes = resume
            options.acknowledgedFile = acknowledged
            options.unacknowledgedFile = (isStandardInput ? "import" : file) + ".unacknowledged"
            options.progressFile = progressFile
            let line = Mutex(ProgressLine(unit: "records", total: source.size))
            let importer = Importer(endpoints: session.endpoints, source: source, options: options) { progress in
                line.withLock {
                    $0.show(
                        count: progress.acknowledged,
                        position: progress.bytesRead,
                        note: progress.retried > 0 ? ", \(progress.retried) sent again" : ""
                    )
                }
            }
            signal(SIGINT, SIG_IGN)
            let interrupt = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
            interrupt.setEventHandler { importer.stop("interrupted") }
            interrupt.resume()
            defer {
                interrupt.cancel()
                signal(SIGINT, SIG_DFL)
            }
            let summary = try await importer.run()
            line.withLock { $0.end() }
            try report(summary, options)
            return summary.isComplete ? .ok : .partial
        }
    }

    private func report(_ summary: ImportSummary, _ options: ImportOptions) throws {
        guard global.output == .table else {
            let failure = summary.stopped ?? "\(summary.unacknowledged) records are not acknowledged"
            return try writeJSON(
                summary,
                ok: summary.isComplete,
                error: summary.isComplete ? nil : .init(code: "partial", message: failure)
            )
        }
        func figure(_ name: String, _ value: String) -> String {
            name.padding(toLength: 16, withPad: " ", startingAt: 0) + value + "\n"
        }
        var text = figure("records", "\(summary.records)") + figure("acknowledged", "\(summary.acknowledged)")
        if summary.acknowledgedEarlier > 0 { text += figure("  earlier", "\(summary.acknowledgedEarlier)") }
        text += figure("sent again", "\(summary.retried)")
        text += figure("rate", "\(Int(summary.recordsPerSecond))/s over \(String(format: "%.1f", summary.seconds)) s")
        text += figure("longest gap", "\(Int(summary.longestGapMilliseconds.rounded())) ms between acknowledgements")
        write(text)
        guard !summary.isComplete else { return }
        var why = summary.stopped.map { "kvctl: the import stopped: \($0)\n" } ?? ""
        if summary.unacknowledged > 0 {
            why += "kvctl: \(summary.unacknowledged) records are not acknowledged:\n"
            for entry in summary.examples { why += "  line \(entry.line): \(entry.key): \(entry.reason)\n" }
            if summary.unacknowledged > summary.examples.count { why += "  …\n" }
        }
        if let line = summary.firstUnsentLine { why += "kvctl: line \(line) and all that follow were not sent\n" }
        why += "kvctl: all of them are in \(options.unacknowledgedFile ?? "")"
        if options.stateFile != nil { why += "; --resume goes on from here" }
        write(why + "\n", to: .standardError)
    }
}

/// A file, or standard input, read a piece at a time.
final class FileSource: ByteSource {
    private static let pieceBytes = 256 * 1024

    private let handle: FileHandle
    /// How many bytes it has, where that is known.
    let size: UInt64?

    init(path: String?) throws {
        guard let path else {
            handle = .standardInput
            size = nil
            return
        }
        do {
            handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            size = (attributes[.size] as? NSNumber)?.uint64Value
        } catch {
            throw CtlFailure(.error, "cannot_read", "cannot read \(path): \(error.localizedDescription)")
        }
    }

    func read() throws -> [UInt8] {
        Array(try handle.read(upToCount: Self.pieceBytes) ?? Data())
    }
}
