package import KVEnvironment

/// What a look at one file of a log found.
package struct LogFileReport: Equatable, Sendable {
    /// The file.
    package var path: String
    /// Its number, by its name or its first chunk.
    package var number: UInt32
    /// Its size in bytes.
    package var size: UInt64
    /// Its header record; nil where it does not read.
    package var header: LogHeader?
    /// Where the log's bytes end in it.
    package var length: UInt64 = 0
    /// How many records were read, the header aside.
    package var recordCount: UInt64 = 0
    /// The greatest position that a chunk here says was durable.
    package var provenThrough: UInt64 = 0
    /// How reading it ended.
    package var verdict: LogVerdict
    /// Where something other than zeros stands behind the end, although the file was ended in good order.
    package var slackOffset: UInt64?
    /// Why it cannot be this log's at all, such as another owner or version.
    package var refusal: LogError?

    /// Whether anything of it is not as it was written, a torn tail aside.
    package var isDamaged: Bool { refusal != nil || slackOffset != nil || !verdict.isUsable }

    /// Whether the last writer ended it.
    package var isClosed: Bool {
        if case .cleanEnd(_, let isClosed) = verdict { isClosed } else { false }
    }
}

/// Reads a log file by file, each to its end or its damage, for tools; changes nothing.
///
/// The verdicts are those of `LogReader`, which the owner goes by; beyond them it looks at the bytes behind a file's end, which
/// nobody reads, and goes on with the next file behind damage.
package enum LogInspection {
    /// Looks at every segment in `directory`, oldest first; `body` gets each record that reads.
    /// - Throws: where the directory cannot be listed.
    package static func segments(
        _ fileSystem: any FileSystem,
        directory: String,
        identity: [UInt8]? = nil,
        _ body: (LogRecord) -> Void = { _ in }
    ) throws(FileError) -> [LogFileReport] {
        let numbers = try fileSystem.list(directory).compactMap(LogFormat.segmentNumber).sorted()
        var reports: [LogFileReport] = []
        var contents = LogContents(emptyIn: directory)
        for (index, number) in numbers.enumerated() {
            let path = directory + "/" + LogFormat.segmentName(number)
            var limit: UInt64?
            if index + 1 < numbers.count {
                let next = directory + "/" + LogFormat.segmentName(numbers[index + 1])
                let header = self.header(fileSystem, path: next, number: numbers[index + 1])
                if header?.predecessorNumber == number { limit = header?.predecessorLength }
            }
            var report = file(
                fileSystem,
                path: path,
                number: number,
                identity: identity,
                limit: limit,
                contents: &contents,
                isFirst: index == 0 || reports.last?.isDamaged == true,
                body
            )
            let isLast = index + 1 == numbers.count
            if !isLast, case .tornTail(let place) = report.verdict {
                // Nothing but the last segment may be torn.
                report.verdict = .corruption(place, provenDurableThrough: place.position, .badChunk)
            }
            reports.append(report)
        }
        // A torn segment keeps its tail until the segment after it has a record: opening the log was cut short there.
        if reports.count > 1, reports[reports.count - 1].recordCount == 0, !reports[reports.count - 1].isClosed {
            reports[reports.count - 2].slackOffset = nil
        }
        return reports
    }

    /// Looks at a log that is one file, or at one segment by itself.
    package static func file(
        _ fileSystem: any FileSystem,
        path: String,
        _ body: (LogRecord) -> Void = { _ in }
    ) -> LogFileReport {
        let name = fileName(of: path)
        var contents = LogContents(emptyIn: path)
        return file(
            fileSystem,
            path: path,
            number: LogFormat.segmentNumber(name) ?? 0,
            identity: nil,
            limit: nil,
            contents: &contents,
            isFirst: true,
            body
        )
    }

    /// The header record of a file; nil where it does not read.
    package static func header(_ fileSystem: any FileSystem, path: String, number: UInt32) -> LogHeader? {
        // Why it does not read is told where the file itself is looked at.
        guard
            case .opened(let opened)? = try? LogReader.openSegment(
                fileSystem,
                path: path,
                number: number,
                identity: nil
            )
        else { return nil }
        opened.file.close()
        return opened.header
    }

    private static func file(
        _ fileSystem: any FileSystem,
        path: String,
        number: UInt32,
        identity: [UInt8]?,
        limit: UInt64?,
        contents: inout LogContents,
        isFirst: Bool,
        _ body: (LogRecord) -> Void
    ) -> LogFileReport {
        var report = LogFileReport(
            path: path,
            number: number,
            size: 0,
            verdict: .cleanEnd(LogPlace(path: path, offset: 0, position: 0), isClosed: false)
        )
        do throws(FileError) { report.size = try fileSystem.size(path) } catch {
            report.verdict = .inputOutput(error)
            return report
        }
        let opening: LogReader.Opening
        do throws(LogError) {
            opening = try LogReader.openSegment(fileSystem, path: path, number: number, identity: identity)
        } catch {
            report.refusal = error
            return report
        }
        guard case .opened(let opened) = opening else {
            if case .failed(let verdict) = opening { report.verdict = verdict }
            return report
        }
        report.number = opened.number
        report.header = opened.header
        if let verdict = LogReader.verdictOfConnection(contents, opened, isFirst: isFirst) {
            report.verdict = verdict
        }
        let connects = report.verdict.isUsable
        do throws(LogError) {
            let verdict = try LogReader.readRecords(opened, limit: limit, fileSystem, &contents) { record in
                report.recordCount += 1
                body(record)
            }
            if connects { report.verdict = verdict }
        } catch {
            report.refusal = error
        }
        report.length = contents.segments.last?.length ?? 0
        report.provenThrough = max(opened.header.start, contents.provenThrough)
        if case .cleanEnd(_, let isClosed) = report.verdict, isClosed || limit != nil {
            do throws(FileError) {
                report.slackOffset = try firstByteSet(fileSystem, path, from: report.length)
            } catch {
                report.verdict = .inputOutput(error)
            }
        }
        return report
    }

    /// The first byte from `offset` on that is not zero.
    private static func firstByteSet(
        _ fileSystem: any FileSystem,
        _ path: String,
        from offset: UInt64
    ) throws(FileError) -> UInt64? {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        var position = offset
        while true {
            let count = try buffer.withUnsafeMutableBufferPointer { (bytes) throws(FileError) in
                try file.read(into: UnsafeMutableRawBufferPointer(bytes), at: position)
            }
            guard count > 0 else { return nil }
            if let place = buffer[..<count].firstIndex(where: { $0 != 0 }) { return position + UInt64(place) }
            position += UInt64(count)
        }
    }
}
