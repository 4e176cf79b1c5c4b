package import KVEnvironment

/// Bytes of a log that no record could be read from.
package struct LogGap: Equatable, Sendable {
    /// The file.
    package var path: String
    /// Where the unreadable bytes start.
    package var offset: UInt64
    /// How many there are, up to the next record that reads or to the end of the file.
    package var length: UInt64
}

extension LogInspection {
    /// Reads every record of a file that is whole, those behind damage too; `body` gets each with where it stands.
    ///
    /// Bytes of a value may look like a record, so what comes from behind damage is no proof. Records' sequences count what was
    /// read. Reading ends at `limit` where one is given: what stands behind it is not of the log.
    /// - Returns: what could not be read.
    /// - Throws: where the file cannot be read, and what `body` throws.
    package static func salvage<Failure: Error>(
        _ fileSystem: any FileSystem,
        path: String,
        number: UInt32,
        limit: UInt64? = nil,
        _ body: (LogRecord) throws(Failure) -> Void
    ) throws -> [LogGap] {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        let reader = try LogSegmentReader(file, number: number)
        // The header, which names the start, may be what is lost: then no claim is too great.
        let header = self.header(fileSystem, path: path, number: number)
        reader.start = header?.start ?? 1 << 62
        let end = min(limit ?? .max, try file.size())
        var gaps: [LogGap] = []
        var sequence: UInt64 = 0
        while true {
            while reader.next() {
                guard reader.recordOffset < end else { return gaps }
                if reader.kind == .header { continue }
                sequence += 1
                try body(
                    LogRecord(
                        kind: reader.kind,
                        payload: reader.payload,
                        place: LogRecordPlace(
                            number: reader.number,
                            offset: reader.recordOffset,
                            position: (header?.start ?? 0) + reader.recordOffset
                        ),
                        sequence: sequence
                    )
                )
            }
            switch reader.verdict {
            case .inputOutput(let error): throw error
            case .cleanEnd, nil: return gaps
            case .tornTail, .corruption: break
            }
            let from = reader.endOffset
            guard from < end else { return gaps }
            let next = try reader.resume(from: from + 1)
            let through = min(next ?? end, end)
            if through > from { gaps.append(LogGap(path: path, offset: from, length: through - from)) }
            guard let next, next < end else { return gaps }
        }
    }
}
