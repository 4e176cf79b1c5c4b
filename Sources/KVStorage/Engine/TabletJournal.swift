import KVBase
import KVEnvironment
import KVLog

/// A tablet's own log, for a tablet that stands alone (benchmarks, tests, an embedder): a record log in `log/` beside
/// the tables.
///
/// 1. Every batch is appended before it is applied: first sequence, mark, operations.
/// 2. When a memtable is sealed the log goes on in a new segment, so that all of the memtable's records lie before
///    it; when the memtable is in tables the manifest edit says from which segment on the log is needed, and the
///    older ones go.
/// 3. At open, records whose sequences are not in tables are applied again. A torn tail is cut; damage to bytes that
///    were durable is an error, never cut.
///
/// After a failed write or sync nothing more is taken: the tablet is read-only until it is opened again.
///
/// Writer only, but for `removeSegments`.
final class TabletJournal {
    static let directoryName = "log"

    private let writer: LogWriter
    private let preparer: SegmentPreparer?
    private let fileSystem: any FileSystem
    private let directory: String
    private let synchronizes: Bool
    private var scratch: [UInt8] = []
    private var markScratch: [UInt8] = []

    /// Goes on after `contents` in a new segment.
    init(
        _ options: TabletOptions,
        identity: UInt64,
        synchronizes: Bool,
        after contents: LogContents
    ) throws(StorageError) {
        fileSystem = options.fileSystem
        directory = Self.directory(options)
        self.synchronizes = synchronizes
        preparer =
            options.preparesLogSegments
            ? SegmentPreparer(
                options.fileSystem,
                directory: directory,
                segmentBytes: options.logSegmentBytes,
                pool: options.workers
            ) : nil
        do throws(LogError) {
            writer = try LogWriter.open(
                options.fileSystem,
                directory: directory,
                identity: Self.identityBytes(identity),
                segmentBytes: options.logSegmentBytes,
                after: contents,
                preparer: preparer,
                fillsSecond: false
            )
        } catch { throw StorageError(error, directory) }
    }

    static func directory(_ options: TabletOptions) -> String { options.directory + "/" + directoryName }

    private static func identityBytes(_ identity: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: identity)
        return bytes
    }

    /// Puts a batch into the buffer.
    ///
    /// Where the segment is full it goes on in the next one first.
    func append(_ batch: StagedBatch, firstSequence: UInt64, mark: TabletMark) throws(StorageError) {
        scratch.removeAll(keepingCapacity: true)
        markScratch.removeAll(keepingCapacity: true)
        mark.encode(into: &markScratch)
        scratch.append(varint: firstSequence)
        scratch.append(varint: UInt64(batch.count))
        scratch.append(lengthPrefixed: markScratch)
        do throws(LogError) {
            _ = try writer.begin(.batch, count: scratch.count + batch.byteCount)
            scratch.withUnsafeBytes { writer.put($0) }
            writer.put(batch.bytes.buffer)
            try writer.end()
        } catch { throw StorageError(error, directory) }
    }

    /// Writes the buffer; returns after it is synced if the tablet was set up so.
    func commit() throws(StorageError) {
        do throws(LogError) {
            if synchronizes { try writer.sync() } else { try writer.flush() }
        } catch { throw StorageError(error, directory) }
    }

    /// Goes on in a new segment and returns its number: everything appended so far lies before it.
    func roll() throws(StorageError) -> UInt64 {
        do throws(LogError) { try writer.roll() } catch { throw StorageError(error, directory) }
        return UInt64(writer.number)
    }

    /// Whether a write or sync failed.
    var isPoisoned: Bool { writer.failure != nil }

    /// Returns after everything appended is on stable storage.
    func synchronize() throws(StorageError) {
        do throws(LogError) {
            try writer.sync()
            try writer.markSynced()
        } catch { throw StorageError(error, directory) }
    }

    /// Names the durable position in the log, unless a chunk does already.
    func prove() throws(StorageError) {
        do throws(LogError) { try writer.markSynced() } catch { throw StorageError(error, directory) }
    }

    /// Ends the log.
    ///
    /// A failure is nobody's business: what was synced is synced, and the next open looks at the rest.
    func close() {
        preparer?.stop()
        do throws(LogError) { try writer.close() } catch {}
    }

    /// Removes the segments below `number`; any thread.
    ///
    /// A failure is nobody's business: they are tried again with the next.
    static func removeSegments(_ options: TabletOptions, before number: UInt64) {
        let directory = directory(options)
        guard let names = try? options.fileSystem.list(directory) else { return }
        for name in names {
            if let segment = LogFormat.segmentNumber(name), UInt64(segment) < number {
                try? options.fileSystem.remove(directory + "/" + name)
            }
        }
    }

    /// Reads the log and gives `body` each batch that `durableSequence` does not cover, in order.
    ///
    /// - Throws: `corruption` where bytes that were durable do not read, or records are missing; what `body` throws.
    static func recover(
        _ options: TabletOptions,
        identity: UInt64,
        durableSequence: UInt64,
        _ body: (StagedBatch, UInt64, TabletMark) throws(StorageError) -> Void
    ) throws(StorageError) -> LogContents {
        let directory = directory(options)
        do throws(FileError) {
            try options.fileSystem.createDirectory(directory)
            try options.fileSystem.synchronizeDirectory(options.directory)
            for name in try options.fileSystem.list(directory) where name.hasSuffix(LogFormat.temporarySuffix) {
                try options.fileSystem.remove(directory + "/" + name)
            }
        } catch { throw .file(error) }
        var last = durableSequence
        var failure: StorageError?
        let contents: LogContents
        do throws(LogError) {
            contents = try LogReader.readSegments(
                options.fileSystem,
                directory: directory,
                identity: identityBytes(identity)
            ) { record in
                guard record.kind == .batch, failure == nil else { return }
                do throws(StorageError) {
                    let (batch, first, mark) = try decode(record, directory)
                    guard first + UInt64(batch.count) > last + 1 || (batch.isEmpty && first == last + 1) else { return }
                    guard first == last + 1 else {
                        throw .corruption(
                            file: directory,
                            offset: record.place.position,
                            length: UInt64(record.payload.count),
                            what: "batch starts at sequence \(first) where \(last + 1) is next: records are missing"
                        )
                    }
                    try body(batch, first, mark)
                    last = first + UInt64(batch.count) - 1
                } catch { failure = error }
            }
        } catch { throw StorageError(error, directory) }
        if let failure { throw failure }
        guard contents.verdict.isUsable else { throw StorageError(.damaged(contents.verdict), directory) }
        return contents
    }

    private static func decode(
        _ record: LogRecord,
        _ directory: String
    ) throws(StorageError) -> (StagedBatch, UInt64, TabletMark) {
        do throws(DecodingError) {
            var reader = ByteReader(record.payload)
            let first = try reader.readVarint()
            let count = try reader.readVarint()
            let mark = try TabletMark(decoding: try reader.readLengthPrefixed())
            let batch = try StagedBatch(validating: try reader.readBytes(reader.remaining))
            guard UInt64(batch.count) == count, first > 0, first <= EntryTag.sequenceMax else {
                throw DecodingError.invalid(offset: 0, what: "\(batch.count) operations of \(count)")
            }
            return (batch, first, mark)
        } catch {
            throw .corruption(
                file: directory,
                offset: record.place.position,
                length: UInt64(record.payload.count),
                what: "batch record: \(error)"
            )
        }
    }
}

extension Tablet {
    /// Returns after every write so far is on stable storage (own log); nothing to do in the external mode.
    ///
    /// Home scheduler only.
    package func synchronizeLog() throws(StorageError) {
        guard let journal else { return }
        do throws(StorageError) { try journal.synchronize() } catch { throw journalFailed(error) }
    }

    /// Lets the log say that its last batch is durable, so that damage to it is never taken for a torn tail; nothing to
    /// do where it says so already.
    ///
    /// Call it when the tablet is idle. Home scheduler only.
    package func proveLog() throws(StorageError) {
        guard let journal else { return }
        do throws(StorageError) { try journal.prove() } catch { throw journalFailed(error) }
    }

    /// Where the log is poisoned, the tablet takes no more writes.
    func journalFailed(_ error: StorageError) -> StorageError {
        if journal?.isPoisoned == true { enter(.readOnly(error)) }
        return error
    }
}
