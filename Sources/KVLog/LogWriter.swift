package import KVEnvironment

/// Appends records to a log: a series of segments, or one file.
///
/// 1. `append` frames a record into a buffer; `flush` writes the buffer with one call; `sync` makes all of it durable.
/// 2. Each chunk carries the position (counted over the whole log) before which everything was durable when it was framed. This is
///    how a reader tells a torn tail from damage.
/// 3. Where a segment is full, `roll` syncs it and goes on in the next, whose synced header says where this one ends. A record
///    never spans two segments; one that is longer than a segment makes its segment longer.
/// 4. `close` ends the file with a chunk that says so.
///
/// After a failed write or sync it is poisoned: what the disk holds is unknown, every later call throws, and only reopening
/// the log tells. Not thread-safe: one owner at a time.
package final class LogWriter {
    /// The file that is written now: the segment's number, or the one given for a single file.
    package private(set) var number: UInt32
    /// The path of the file that is written now.
    package private(set) var path: String
    /// The position, counted over the whole log, after the last appended byte.
    package var position: UInt64 { start + fileOffset }
    /// The position before which everything is durable.
    package private(set) var durablePosition: UInt64
    /// The offset in the file of the next record's first chunk, at the earliest.
    package var fileOffset: UInt64 { writtenOffset + UInt64(frames.count) }
    /// How many records (headers aside) the log holds.
    package private(set) var lastSequence: UInt64
    /// The position of the file's first byte.
    package private(set) var start: UInt64
    /// Whether an append to a full segment rolls; off where the owner asks `wouldRoll` and opens segments with a record of its own.
    package var rollsByItself = true
    /// How often the file was synced.
    private var syncsInFile: UInt64 = 0
    /// From how many bytes a sync on, on average, the next segment is not filled with zeros.
    private static let fillBatchBytesMax: UInt64 = 32 * 1024
    /// Why nothing more is written, once something failed.
    package private(set) var failure: FileError?

    private let fileSystem: any FileSystem
    private let identity: [UInt8]
    /// Nil where the log is one file.
    private let segments: SegmentPlan?
    private let frames: LogFrames
    private var file: any File
    /// How much of the file is written.
    private var writtenOffset: UInt64
    /// The durable position that the last framed chunk names.
    private var claimedPosition: UInt64
    private var hasUnsyncedRecords = false
    private var recordsInFile: UInt64 = 0
    private var isClosed = false
    /// Through where the file's blocks were written, with records or zeros.
    private var filledThrough: UInt64 = 0
    /// Through where what was written was sent on its way to the disk.
    private var hastenedThrough: UInt64 = 0

    /// How segments are made.
    struct SegmentPlan {
        let directory: String
        let segmentBytes: UInt64
        let preparer: SegmentPreparer?
        let bypassesCache: Bool
    }

    private init(
        fileSystem: any FileSystem,
        identity: [UInt8],
        segments: SegmentPlan?,
        number: UInt32,
        path: String,
        file: any File,
        start: UInt64,
        lastSequence: UInt64
    ) {
        self.fileSystem = fileSystem
        self.identity = identity
        self.segments = segments
        self.number = number
        self.path = path
        self.file = file
        self.start = start
        self.lastSequence = lastSequence
        durablePosition = start
        claimedPosition = start
        writtenOffset = 0
        frames = LogFrames(fileOffset: 0)
    }

    // MARK: Opening

    /// A log that is one file without bound, such as a MANIFEST.
    ///
    /// The file is made with its header in the buffer: nothing is on the disk before `sync`, and the name only after the
    /// directory is synced, both by the caller.
    /// - Precondition: `number > 0`.
    /// - Throws: `file`.
    package static func create(
        _ fileSystem: any FileSystem,
        path: String,
        number: UInt32 = 1,
        identity: [UInt8] = []
    ) throws(LogError) -> LogWriter {
        precondition(number > 0, "file numbers start at 1")
        let file: any File
        do { file = try fileSystem.open(path, .createNew) } catch { throw .file(error) }
        let writer = LogWriter(
            fileSystem: fileSystem,
            identity: identity,
            segments: nil,
            number: number,
            path: path,
            file: file,
            start: 0,
            lastSequence: 0
        )
        writer.frameHeader(
            LogHeader(start: 0, predecessorNumber: 0, predecessorLength: 0, lastSequence: 0, identity: identity)
        )
        return writer
    }

    /// Goes on with a log of segments in `directory` that reads as `contents`; always in a new segment, which is durable with its
    /// header when this returns.
    ///
    /// What of the last segment was never proven durable is written again, same bytes at the same place, and synced before
    /// the new header vouches for it: after a failed sync the system may show bytes that the disk does not hold. With `fillsSecond`
    /// the segment after that one is filled with zeros in the background; without, it only takes its room.
    ///
    /// `bypassesCache` is for logs that are synced after every write: they do not go through the system's cache.
    /// - Throws: `damaged` where the contents' verdict is not usable; `file`; `segmentUnavailable`.
    package static func open(
        _ fileSystem: any FileSystem,
        directory: String,
        identity: [UInt8],
        segmentBytes: UInt64,
        after contents: LogContents,
        preparer: SegmentPreparer? = nil,
        fillsSecond: Bool = true,
        bypassesCache: Bool = false
    ) throws(LogError) -> LogWriter {
        guard contents.verdict.isUsable else { throw .damaged(contents.verdict) }
        let plan = SegmentPlan(
            directory: directory,
            segmentBytes: segmentBytes,
            preparer: preparer,
            bypassesCache: bypassesCache
        )
        let last = contents.segments.last
        if let last { try Self.settle(fileSystem, last, contents) }
        let header = LogHeader(
            start: contents.end,
            predecessorNumber: last?.number ?? 0,
            predecessorLength: last?.length ?? 0,
            lastSequence: contents.lastSequence,
            identity: identity
        )
        let number = (last?.number ?? 0) + 1
        let made = try makeSegment(fileSystem, plan, number: number, header: header)
        if let error = made.failure { throw .file(error) }
        try cutSlack(fileSystem, contents.segments)
        let writer = LogWriter(
            fileSystem: fileSystem,
            identity: identity,
            segments: plan,
            number: number,
            path: made.path,
            file: made.file,
            start: contents.end,
            lastSequence: contents.lastSequence
        )
        writer.enter(made)
        preparer?.prepare(filled: fillsSecond)
        return writer
    }

    // MARK: Appending

    /// Appends a record of one piece to the buffer.
    ///
    /// Where the segment is full it rolls first, which writes and syncs; a long record may be written early. Nothing is durable before
    /// `sync`.
    /// - Returns: where the record stands.
    /// - Throws: `file`, `poisoned`, `closed`, `recordTooLong`, `segmentUnavailable`.
    @discardableResult
    package func append(_ kind: LogRecordKind, _ payload: UnsafeRawBufferPointer) throws(LogError) -> LogRecordPlace {
        let place = try begin(kind, count: payload.count)
        frames.put(payload)
        try end()
        return place
    }

    /// Appends a record of one piece to the buffer, as the other `append`.
    @discardableResult
    package func append(_ kind: LogRecordKind, _ payload: [UInt8]) throws(LogError) -> LogRecordPlace {
        try payload.withUnsafeBufferPointer { (bytes) throws(LogError) in
            try append(kind, UnsafeRawBufferPointer(bytes))
        }
    }

    /// Begins a record of `count` bytes (its kind aside), which `put` fills and `end` ends; throws as `append` does.
    package func begin(_ kind: LogRecordKind, count: Int) throws(LogError) -> LogRecordPlace {
        try checkUsable()
        guard count < LogFormat.recordBytesMax else { throw .recordTooLong(count) }
        if rollsByItself && wouldRoll(count) { try roll() }
        let place = LogRecordPlace(number: number, offset: fileOffset, position: position)
        frames.begin(count + 1, number: number, synced: durablePosition)
        frames.put(byte: kind.rawValue)
        claimedPosition = durablePosition
        return place
    }

    /// Puts the next bytes of the record that `begin` began.
    package func put(_ bytes: UnsafeRawBufferPointer) {
        frames.put(bytes)
    }

    /// Ends the record that `begin` began.
    /// - Precondition: exactly as many bytes were put as `begin` was told.
    /// - Throws: `file` where a full buffer could not be written.
    package func end() throws(LogError) {
        frames.end()
        lastSequence += 1
        recordsInFile += 1
        hasUnsyncedRecords = true
        if frames.count >= Self.bufferBytesMax { try flush() }
    }

    /// Whether a record of `count` bytes goes to a new segment; whoever opens segments with records of its own asks first and calls
    /// `roll` itself.
    package func wouldRoll(_ count: Int) -> Bool {
        guard let segments, recordsInFile > 0 else { return false }
        return fileOffset + UInt64(LogFrames.sizeMax(count + 1) + LogFormat.chunkHeaderBytes) > segments.segmentBytes
    }

    /// How many bytes of the segment are left; nil where the file has no bound.
    package var segmentBytesLeft: UInt64? {
        guard let segments else { return nil }
        return segments.segmentBytes > fileOffset ? segments.segmentBytes - fileOffset : 0
    }

    // MARK: Durability

    /// Writes what is in the buffer, with one call.
    /// - Throws: `file`, `poisoned`, `closed`.
    package func flush() throws(LogError) {
        try checkUsable()
        guard frames.count > 0 else { return }
        do {
            try fillAhead()
            try file.write(frames.bytes, at: writtenOffset)
        } catch {
            throw poison(error)
        }
        writtenOffset += UInt64(frames.count)
        frames.removeAll()
        startWriteback()
    }

    /// Returns after every appended record is on stable storage.
    /// - Throws: `file`, `poisoned`, `closed`.
    package func sync() throws(LogError) {
        try flush()
        guard durablePosition < position else { return }
        do {
            try file.synchronize()
        } catch {
            throw poison(error)
        }
        durablePosition = position
        hasUnsyncedRecords = false
        syncsInFile += 1
    }

    /// Writes an empty chunk that names the durable position, unless a chunk named it already or records wait for their sync.
    ///
    /// The owner calls it when the log is idle, so that the last batch is proven too. Written, not synced.
    /// - Returns: whether there was anything to write.
    /// - Throws: `file`, `poisoned`, `closed`.
    @discardableResult
    package func markSynced() throws(LogError) -> Bool {
        try checkUsable()
        guard !hasUnsyncedRecords, claimedPosition < durablePosition else { return false }
        frames.putEmptyChunk(.full, number: number, synced: durablePosition)
        claimedPosition = durablePosition
        try flush()
        return true
    }

    /// Syncs the segment and goes on in the next.
    /// - Throws: `segmentUnavailable` where the next cannot be made, which changes nothing; `file`, `poisoned`, `closed`.
    /// - Precondition: the log has segments.
    package func roll() throws(LogError) {
        guard let segments else { preconditionFailure("a log of one file does not roll") }
        try sync()
        let header = LogHeader(
            start: position,
            predecessorNumber: number,
            predecessorLength: fileOffset,
            lastSequence: lastSequence,
            identity: identity
        )
        let made = try Self.makeSegment(fileSystem, segments, number: number + 1, header: header)
        if let error = made.failure { throw poison(error) }
        file.close()
        // A sync of little data is quicker in a file of zeros. One of much is not, and the zeros would take half of the disk's speed
        // just when all of it is needed.
        let isFilled = fileOffset / max(1, syncsInFile) < Self.fillBatchBytesMax
        syncsInFile = 0
        start = header.start
        number += 1
        enter(made)
        segments.preparer?.prepare(filled: isFilled)
    }

    /// Ends the log with a chunk that says so, cuts what was zero-filled, syncs and closes the file.
    ///
    /// The chunk is written twice, the second time after the first is durable: one proves the other, so that damage to any byte of
    /// a closed log shows. Idempotent.
    /// - Throws: `file`, `poisoned`.
    package func close() throws(LogError) {
        if isClosed { return }
        try sync()
        frames.putEmptyChunk(.endOfFile, number: number, synced: durablePosition)
        try flush()
        do {
            // The second chunk keeps its room, so that a full disk does not come between the two.
            try file.truncate(to: writtenOffset + UInt64(frames.emptyChunkBytes))
            try file.synchronize()
        } catch {
            throw poison(error)
        }
        durablePosition = position
        frames.putEmptyChunk(.endOfFile, number: number, synced: durablePosition)
        try flush()
        do {
            try file.synchronize()
        } catch {
            throw poison(error)
        }
        durablePosition = position
        isClosed = true
        file.close()
    }

    // MARK: Ahead and behind

    /// Puts zeros where the next records go, in a segment that only has its room, once it shows that its batches are small: such a sync
    /// is a third cheaper where nothing but bytes changes.
    private func fillAhead() throws(FileError) {
        guard let segments, syncsInFile >= Self.fillAheadAfterSyncs,
            fileOffset / syncsInFile < Self.fillAheadBatchBytesMax
        else { return }
        let end = writtenOffset + UInt64(frames.count)
        guard end > filledThrough, end < segments.segmentBytes else { return }
        let count = min(Self.fillAheadBytes, segments.segmentBytes - end)
        let zeros = [UInt8](repeating: 0, count: Int(count))
        try zeros.withUnsafeBufferPointer { (bytes) throws(FileError) in
            try file.write(UnsafeRawBufferPointer(bytes), at: end)
        }
        filledThrough = end + count
    }

    /// Where nothing is synced before the segment is full, what is written goes to the disk piece by piece, so that the end need not wait
    /// for all of it.
    ///
    /// The last piece stays: the next record goes into its pages, and would wait for them.
    private func startWriteback() {
        guard segments != nil, syncsInFile == 0, writtenOffset - hastenedThrough >= 2 * Self.writebackBytes else {
            return
        }
        let end = hastenedThrough + Self.writebackBytes
        file.startWriteback(hastenedThrough..<end)
        hastenedThrough = end
    }

    // MARK: Inside

    /// How many bytes are filled with zeros ahead of the records, at once.
    private static let fillAheadBytes: UInt64 = 1 << 20
    /// The mean batch up to which that pays: the zeros are written too.
    private static let fillAheadBatchBytesMax: UInt64 = 2 << 10
    /// After how many syncs the mean says something.
    private static let fillAheadAfterSyncs: UInt64 = 8
    /// How many written bytes begin their way to the disk together.
    private static let writebackBytes: UInt64 = 4 << 20

    /// The buffer is written early past this.
    private static let bufferBytesMax = 4 << 20

    private func checkUsable() throws(LogError) {
        if let failure { throw .poisoned(failure) }
        if isClosed { throw .closed }
    }

    private func poison(_ error: FileError) -> LogError {
        failure = error
        return .file(error)
    }

    private func frameHeader(_ header: LogHeader) {
        let bytes = header.encoded()
        frames.begin(bytes.count + 1, number: number, synced: durablePosition)
        frames.put(byte: LogRecordKind.header.rawValue)
        bytes.withUnsafeBytes { frames.put($0) }
        frames.end()
        hasUnsyncedRecords = true
    }

    /// Takes a segment over whose header is durable.
    private func enter(_ made: MadeSegment) {
        file = made.file
        path = made.path
        frames.restart()
        frames.skip(made.headerBytes)
        writtenOffset = UInt64(made.headerBytes)
        durablePosition = start + writtenOffset
        claimedPosition = start
        recordsInFile = 0
        hasUnsyncedRecords = false
        filledThrough = made.isFilled ? segments?.segmentBytes ?? 0 : writtenOffset
        hastenedThrough = 0
    }

    private struct MadeSegment {
        let file: any File
        let path: String
        let headerBytes: Int
        /// Whether zeros follow the header on the disk.
        let isFilled: Bool
        /// Set where the file has its header but whether its name is durable is unknown.
        var failure: FileError?
    }

    /// Makes the file with its synced header under a temporary name and gives it its own: a segment that has a name has a header.
    private static func makeSegment(
        _ fileSystem: any FileSystem,
        _ plan: SegmentPlan,
        number: UInt32,
        header: LogHeader
    ) throws(LogError) -> MadeSegment {
        let path = plan.directory + "/" + LogFormat.segmentName(number)
        let frames = LogFrames(fileOffset: 0)
        let bytes = header.encoded()
        frames.begin(bytes.count + 1, number: number, synced: header.start)
        frames.put(byte: LogRecordKind.header.rawValue)
        bytes.withUnsafeBytes { frames.put($0) }
        frames.end()

        var temporary = path + LogFormat.temporarySuffix
        let file: any File
        var isFilled = false
        do throws(FileError) {
            if let prepared = plan.preparer?.take() {
                (file, temporary, isFilled) = (prepared.file, prepared.file.path, prepared.isFilled)
            } else {
                // What is not filled ahead has to have its room, or an append would meet the end of it.
                if let failure = plan.preparer?.failure { throw failure }
                let needed = plan.segmentBytes * (plan.preparer?.isUnderWay == true ? 2 : 1)
                guard try fileSystem.freeSpace(plan.directory) >= needed else {
                    throw FileError(.create, path: temporary, reason: .noSpace)
                }
                if fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
                file = try fileSystem.open(temporary, .createNew)
                try reserve(file, plan.segmentBytes, fileSystem)
            }
            if plan.bypassesCache { file.bypassCache() }
        } catch {
            throw .segmentUnavailable(error)
        }
        do {
            try file.write(frames.bytes, at: 0)
            try file.synchronize()
        } catch {
            file.close()
            // Whatever is left of it is removed when the log is opened again.
            try? fileSystem.remove(temporary)
            throw .segmentUnavailable(error)
        }
        var made = MadeSegment(file: file, path: path, headerBytes: frames.count, isFilled: isFilled)
        do {
            try fileSystem.rename(temporary, to: path)
            try fileSystem.synchronizeDirectory(plan.directory)
        } catch {
            made.failure = error
        }
        return made
    }

    /// Takes the room for a whole segment, so that others who fill the disk later take none of it; removes the file where there
    /// is none.
    private static func reserve(_ file: any File, _ bytes: UInt64, _ fileSystem: any FileSystem) throws(FileError) {
        do {
            try file.reserve(bytes)
        } catch {
            file.close()
            // Whatever is left of it is removed when the log is opened again.
            try? fileSystem.remove(file.path)
            throw error
        }
    }

    /// Cuts what stands behind the end of each older segment, now that the new one's header says where they end: zeros that were
    /// filled ahead, or a torn tail.
    ///
    /// From then on every byte of them is proven by a checksum.
    private static func cutSlack(_ fileSystem: any FileSystem, _ segments: [LogSegment]) throws(LogError) {
        do throws(FileError) {
            for segment in segments where try fileSystem.size(segment.path) > segment.length {
                let file = try fileSystem.open(segment.path, .readWrite)
                defer { file.close() }
                try file.truncate(to: segment.length)
                try file.synchronize()
            }
        } catch {
            throw .file(error)
        }
    }

    private static func settle(
        _ fileSystem: any FileSystem,
        _ last: LogSegment,
        _ contents: LogContents
    ) throws(LogError) {
        do throws(FileError) {
            let file = try fileSystem.open(last.path, .readWrite)
            defer { file.close() }
            let from = contents.provenThrough > last.start ? min(contents.provenThrough - last.start, last.length) : 0
            var buffer = [UInt8](repeating: 0, count: Int(min(last.length - from, 1 << 20)))
            var offset = from
            while offset < last.length {
                let wanted = Int(min(UInt64(buffer.count), last.length - offset))
                let count = try buffer.withUnsafeMutableBufferPointer { (bytes) throws(FileError) -> Int in
                    let part = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: bytes[..<wanted]))
                    let count = try file.read(into: part, at: offset)
                    try file.write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(part)[..<count]), at: offset)
                    return count
                }
                guard count > 0 else { throw FileError(.read, path: last.path, reason: .inputOutput) }
                offset += UInt64(count)
            }
            try file.synchronize()
        } catch {
            throw .file(error)
        }
    }
}

/// Where a record stands in a log.
package struct LogRecordPlace: Equatable, Sendable {
    /// The segment.
    package var number: UInt32
    /// The offset in the file at or before the record's first chunk.
    package var offset: UInt64
    /// The position of that byte over the whole log.
    package var position: UInt64

    /// A place.
    package init(number: UInt32, offset: UInt64, position: UInt64) {
        self.number = number
        self.offset = offset
        self.position = position
    }
}
