package import KVEnvironment

/// One record of a log as it is read.
package struct LogRecord {
    /// What it is.
    package let kind: LogRecordKind
    /// Its bytes without the kind, valid inside the call that hands it over.
    package let payload: UnsafeRawBufferPointer
    /// Where it stands.
    package let place: LogRecordPlace
    /// Its number over the whole log, from 1.
    package let sequence: UInt64
}

/// One file of a log.
package struct LogSegment: Equatable, Sendable {
    /// Its number.
    package var number: UInt32
    /// Its path.
    package var path: String
    /// The position of its first byte over the whole log.
    package var start: UInt64
    /// How many of its bytes are part of the log, as far as they were read.
    package var length: UInt64
    /// How many records the log holds before it.
    package var sequenceBefore: UInt64
    /// How many records were read from it, the header aside.
    package var recordCount: UInt64
}

/// What a log holds, without its records.
package struct LogContents: Equatable, Sendable {
    /// The files, oldest first.
    package var segments: [LogSegment] = []
    /// The position after the last whole record.
    package var end: UInt64 = 0
    /// The greatest position that any chunk says was durable.
    package var provenThrough: UInt64 = 0
    /// The number of the last record.
    package var lastSequence: UInt64 = 0
    /// How it ends.
    package var verdict: LogVerdict

    /// A log that holds nothing yet.
    package init(emptyIn directory: String) {
        verdict = .cleanEnd(LogPlace(path: directory, offset: 0, position: 0), isClosed: true)
    }

    init(verdict: LogVerdict) {
        self.verdict = verdict
    }
}

/// Reads whole logs.
package enum LogReader {
    /// Reads a log that is one file; `body` gets each record in order.
    ///
    /// `number` 0: whatever number the file carries. `identity` nil: whoever's it is.
    /// - Throws: `foreign`, `unsupportedVersion`, and what `body` throws. Damage is a verdict, not an error.
    package static func read(
        _ fileSystem: any FileSystem,
        path: String,
        number: UInt32 = 0,
        identity: [UInt8]? = nil,
        _ body: (LogRecord) throws(LogError) -> Void
    ) throws(LogError) -> LogContents {
        switch try openSegment(fileSystem, path: path, number: number, identity: identity) {
        case .failed(let verdict): return LogContents(verdict: verdict)
        case .opened(let opened):
            var contents = LogContents(emptyIn: path)
            contents.verdict = try readRecords(opened, limit: nil, fileSystem, &contents, body)
            return contents
        }
    }

    /// Reads a log of segments in `directory`; `body` gets each record in order.
    ///
    /// Removes nothing, changes nothing.
    ///
    /// It stops at the first damage. A missing oldest segment is not damage here: the owner knows what it dropped.
    /// - Throws: `foreign`, `unsupportedVersion`, and what `body` throws. Damage is a verdict, not an error.
    package static func readSegments(
        _ fileSystem: any FileSystem,
        directory: String,
        identity: [UInt8]? = nil,
        _ body: (LogRecord) throws(LogError) -> Void
    ) throws(LogError) -> LogContents {
        let numbers: [UInt32]
        do {
            numbers = try fileSystem.list(directory).compactMap(LogFormat.segmentNumber).sorted()
        } catch {
            return LogContents(verdict: .inputOutput(error))
        }
        var contents = LogContents(emptyIn: directory)
        var next = try numbers.first.map { (number) throws(LogError) in
            try openSegment(fileSystem, directory, number, identity)
        }
        for (index, number) in numbers.enumerated() {
            guard let this = next else { break }
            guard case .opened(let opened) = this else {
                if case .failed(let verdict) = this { contents.verdict = verdict }
                return contents
            }
            if let verdict = verdictOfConnection(contents, opened, isFirst: index == 0) {
                contents.verdict = verdict
                return contents
            }
            var limit: UInt64?
            next = nil
            if index + 1 < numbers.count {
                let following = try openSegment(fileSystem, directory, numbers[index + 1], identity)
                next = following
                // Its header is what says where this one ends; without it the rest of the chain hangs in the air.
                guard case .opened(let successor) = following else {
                    if case .failed(let verdict) = following { contents.verdict = verdict }
                    return contents
                }
                if successor.header.predecessorNumber == number { limit = successor.header.predecessorLength }
            }
            contents.verdict = try readRecords(opened, limit: limit, fileSystem, &contents, body)
            if index + 1 < numbers.count {
                guard case .cleanEnd = contents.verdict else {
                    // Nothing but the last segment may be torn.
                    if case .tornTail(let place) = contents.verdict, case .opened(let successor) = next {
                        contents.verdict = .corruption(
                            place,
                            provenDurableThrough: successor.header.start,
                            .badChunk
                        )
                    }
                    return contents
                }
            }
        }
        return contents
    }

    // MARK: Inside

    struct OpenedSegment {
        let file: any File
        let reader: LogSegmentReader
        let header: LogHeader
        let number: UInt32
    }

    enum Opening {
        case opened(OpenedSegment)
        case failed(LogVerdict)
    }

    private static func openSegment(
        _ fileSystem: any FileSystem,
        _ directory: String,
        _ number: UInt32,
        _ identity: [UInt8]?
    ) throws(LogError) -> Opening {
        let path = directory + "/" + LogFormat.segmentName(number)
        return try openSegment(fileSystem, path: path, number: number, identity: identity)
    }

    /// Opens a file and reads its header record.
    static func openSegment(
        _ fileSystem: any FileSystem,
        path: String,
        number: UInt32,
        identity: [UInt8]?
    ) throws(LogError) -> Opening {
        let file: any File
        let reader: LogSegmentReader
        do {
            file = try fileSystem.open(path, .read)
            reader = try LogSegmentReader(file, number: number)
        } catch {
            return .failed(.inputOutput(error))
        }
        let place = LogPlace(path: path, offset: 0, position: 0)
        guard reader.next(), reader.kind == .header, reader.recordOffset == 0 else {
            if case .inputOutput(let error) = reader.verdict { return .failed(.inputOutput(error)) }
            // A file gets its name after its header was synced, so this was durable once.
            return .failed(.corruption(place, provenDurableThrough: reader.provenThrough, .badHeader))
        }
        let header: LogHeader
        do throws(LogHeader.HeaderError) {
            header = try LogHeader(decoding: reader.payload)
        } catch {
            switch error {
            case .version(let version): throw .unsupportedVersion(path: path, version: version)
            case .malformed: return .failed(.corruption(place, provenDurableThrough: 0, .badHeader))
            }
        }
        if let identity, identity != header.identity {
            throw .foreign(path: path, expected: identity, found: header.identity)
        }
        reader.start = header.start
        return .opened(OpenedSegment(file: file, reader: reader, header: header, number: reader.number))
    }

    /// Whether a segment goes on where the one before it ended; nil where it does.
    static func verdictOfConnection(
        _ contents: LogContents,
        _ opened: OpenedSegment,
        isFirst: Bool
    ) -> LogVerdict? {
        guard !isFirst, let before = contents.segments.last else { return nil }
        let header = opened.header
        let place = LogPlace(path: opened.file.path, offset: 0, position: header.start)
        func damage(_ damage: LogDamage) -> LogVerdict {
            .corruption(place, provenDurableThrough: header.start, damage)
        }
        if header.predecessorNumber != before.number { return damage(.missingSegment(header.predecessorNumber)) }
        if header.start != before.start + before.length {
            return damage(.disconnected(expected: before.start + before.length, found: header.start))
        }
        if header.lastSequence != contents.lastSequence {
            return damage(.recordCount(expected: header.lastSequence, found: contents.lastSequence))
        }
        return nil
    }

    static func readRecords(
        _ opened: OpenedSegment,
        limit: UInt64?,
        _ fileSystem: any FileSystem,
        _ contents: inout LogContents,
        _ body: (LogRecord) throws(LogError) -> Void
    ) throws(LogError) -> LogVerdict {
        defer { opened.file.close() }
        let header = opened.header
        let path = opened.file.path
        var segment = LogSegment(
            number: opened.number,
            path: path,
            start: header.start,
            length: 0,
            sequenceBefore: header.lastSequence,
            recordCount: 0
        )
        contents.lastSequence = header.lastSequence
        contents.segments.append(segment)
        let reader: LogSegmentReader
        do {
            if let limit {
                let size = try opened.file.size()
                if size < limit {
                    return .corruption(
                        LogPlace(path: path, offset: size, position: header.start + size),
                        provenDurableThrough: header.start + limit,
                        .shortFile(expected: limit, found: size)
                    )
                }
            }
            reader = try LogSegmentReader(opened.file, number: opened.number, limit: limit)
        } catch {
            return .inputOutput(error)
        }
        reader.start = header.start
        var isHeader = true
        while reader.next() {
            if isHeader {
                isHeader = false
                continue
            }
            guard reader.kind != .header else {
                return .corruption(
                    LogPlace(path: path, offset: reader.recordOffset, position: header.start + reader.recordOffset),
                    provenDurableThrough: reader.provenThrough,
                    .badRecord
                )
            }
            segment.recordCount += 1
            segment.length = reader.endOffset
            contents.lastSequence += 1
            contents.end = header.start + reader.endOffset
            contents.segments[contents.segments.count - 1] = segment
            try body(
                LogRecord(
                    kind: reader.kind,
                    payload: reader.payload,
                    place: LogRecordPlace(
                        number: segment.number,
                        offset: reader.recordOffset,
                        position: header.start + reader.recordOffset
                    ),
                    sequence: contents.lastSequence
                )
            )
        }
        segment.length = reader.endOffset
        contents.segments[contents.segments.count - 1] = segment
        contents.end = header.start + reader.endOffset
        contents.provenThrough = max(contents.provenThrough, reader.provenThrough)
        return reader.verdict ?? .cleanEnd(reader.endPlace, isClosed: false)
    }
}
