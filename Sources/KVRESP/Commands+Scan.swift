import KVBase
import KVService
import NIOCore

extension RESPConnection {
    /// SCAN cursor [MATCH pattern] [COUNT n] [TYPE type].
    func scan(_ arguments: Arguments) throws(RESPError) {
        guard let cursor = Self.cursor(arguments[1]) else { throw .line("ERR invalid cursor") }
        let options = try ScanOptions(arguments)
        let request = ScanRequest(
            prefix: options.pattern?.prefix ?? [],
            limit: options.limit,
            keysOnly: true,
            consistency: consistency
        )
        let sequence = expectCustom(.read)
        guard cursor != 0 else { return scanPage(request, options, sequence) }
        service.scanPosition(cursor) { [self] found in
            switch found {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success(let start):
                var request = request
                request.start = start
                scanPage(request, options, sequence)
            }
        }
    }

    /// A cursor as C reads an unsigned number, which is what Redis does: a sign is taken, −1 is the greatest, nothing at all is 0.
    private static func cursor(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard let first = bytes.first else { return 0 }
        let isNegative = first == UInt8(ascii: "-")
        let digits = isNegative || first == UInt8(ascii: "+") ? bytes.dropFirst() : bytes[...]
        guard digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return nil }
        guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
        return isNegative ? 0 &- number : number
    }

    /// Reads a page and answers with it and the cursor of the next.
    private func scanPage(_ request: ScanRequest, _ options: ScanOptions, _ sequence: UInt64) {
        service.scan(request) { [self] result in
            switch result {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success(let page):
                // A page may end with nothing read and more to come; it then goes on where it began.
                let next =
                    page.hasMore
                    ? service.keepScanPosition(page.rows.last.map { $0.key + [0] } ?? request.start) : 0
                let rows = page.rows.filter { options.accepts($0.key) }
                finish(sequence) { output, _ in
                    output.writeArrayHead(2)
                    output.writeBulk(String(next))
                    output.writeArrayHead(rows.count)
                    for row in rows { row.key.withUnsafeBytes { output.writeBulk($0) } }
                }
            }
        }
    }

    /// KEYS pattern: page after page, up to a bound.
    func keys(_ arguments: Arguments) throws(RESPError) {
        let collector = KeysCollector(
            connection: self,
            sequence: expectCustom(.read),
            pattern: GlobPattern(Array(arguments[1]))
        )
        collector.readPage(from: [])
    }

    func countKeys(_ arguments: Arguments) throws(RESPError) {
        let sequence = expectCustom(.read)
        service.count(consistency) { [self] result in
            switch result {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success(let count): finish(sequence) { output, _ in output.writeNumber(Int64(clamping: count)) }
            }
        }
    }
}

/// What follows the cursor in SCAN.
private struct ScanOptions: Sendable {
    var pattern: GlobPattern?
    var limit = 10
    /// Whether the type asked for is the one that there is.
    var isForStrings = true

    init(_ arguments: Arguments) throws(RESPError) {
        var index = 2
        while index < arguments.count {
            guard index + 1 < arguments.count else { throw .syntax }
            if arguments.matches(index, "MATCH") {
                pattern = GlobPattern(Array(arguments[index + 1]))
            } else if arguments.matches(index, "COUNT") {
                let count = try arguments.integer(index + 1)
                guard count > 0 else { throw .syntax }
                limit = Int(min(count, 10_000))
            } else if arguments.matches(index, "TYPE") {
                isForStrings = arguments.matches(index + 1, "STRING")
            } else {
                throw .syntax
            }
            index += 2
        }
    }

    func accepts(_ key: [UInt8]) -> Bool {
        isForStrings && (pattern?.matches(key) ?? true)
    }
}

/// Reads the pages of one KEYS.
///
/// SENDABLE: one page is under way at a time and its completion starts the next, so no two threads are in here at once.
private final class KeysCollector: @unchecked Sendable {
    private let connection: RESPConnection
    private let sequence: UInt64
    private let pattern: GlobPattern
    private let consistency: Consistency
    private var found: [[UInt8]] = []
    private var bytes = 0

    init(connection: RESPConnection, sequence: UInt64, pattern: GlobPattern) {
        self.connection = connection
        self.sequence = sequence
        self.pattern = pattern
        consistency = connection.consistency
    }

    func readPage(from start: [UInt8]) {
        let request = ScanRequest(
            start: start,
            prefix: pattern.prefix,
            limit: 10_000,
            keysOnly: true,
            consistency: consistency
        )
        connection.service.scan(request) { self.take($0, start: start) }
    }

    private func take(_ result: Result<ScanPage, ServiceError>, start: [UInt8]) {
        let settings = connection.shared.settings
        switch result {
        case .failure(let error):
            connection.finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
        case .success(let page):
            for row in page.rows where pattern.matches(row.key) {
                found.append(row.key)
                bytes += row.key.count
            }
            guard found.count <= settings.keysMax, bytes <= settings.outputBytesMax / 2 else {
                connection.finish(sequence, .failed) { output, _ in
                    output.writeError("ERR KEYS finds more than \(settings.keysMax) keys or too many bytes: use SCAN")
                }
                return
            }
            if page.hasMore {
                // Through the loop, so that a service that answers at once does not nest a call for each page.
                let next = page.rows.last.map { $0.key + [0] } ?? start
                connection.loop.eventLoop.execute { self.readPage(from: next) }
            } else {
                let keys = found
                connection.finish(sequence) { output, _ in
                    output.writeArrayHead(keys.count)
                    for key in keys { key.withUnsafeBytes { output.writeBulk($0) } }
                }
            }
        }
    }
}
