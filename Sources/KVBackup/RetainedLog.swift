package import KVBase
import KVEnvironment
import KVLog
package import KVRaft
import KVReplication

/// The entries behind a backup that were fetched later: what brings it to another point in time.
///
/// Each fetch is a record log of its own, named by the first index that it holds; they follow each other without a gap. `log.json` says
/// which files there are, so that one that is missing, damaged or another backup's is told.
package struct RetainedLog {
    private let folder: BackupFolder
    private let group: GroupID

    /// The log of a group in a backup.
    package init(_ folder: BackupFolder, _ group: UInt32) {
        self.folder = folder
        self.group = GroupID(group)
    }

    private var directory: String { folder.path + "/log" }

    /// Adds entries, as a node hands them out, and writes them down in `log.json`; durable when this returns.
    ///
    /// - Parameters:
    ///   - first: The index after the last that is there; `start` plus one where nothing is.
    ///   - start: The index of the backup.
    ///   - pages: The payloads of records with entries, in order.
    /// - Throws: `file`; `usage` where somebody else adds to it; `damage` for pages that do not fit.
    package func append(from first: LogIndex, behind start: LogIndex, _ pages: [[UInt8]]) throws(BackupError) {
        guard !pages.isEmpty else { return }
        var (last, time) = (first - 1, UInt64(0))
        for page in pages {
            for entry in try Self.entries(page, group) {
                last = try Self.follow([entry], group, after: last)
                time = max(time, entry.time)
            }
        }
        let name = "\(group)-\(first).log"
        let path = directory + "/" + name
        let lock: any FileLock
        do throws(FileError) {
            try folder.fileSystem.createDirectory(directory)
            lock = try folder.fileSystem.lock(directory + "/LOCK")
        } catch {
            let isHeld = error.reason == .locked
            throw BackupError(
                isHeld ? .usage : .file,
                isHeld ? "another 'kvctl snapshot log' adds to \(folder.path): let it end" : "\(error)"
            )
        }
        defer { lock.release() }
        let manifest = try folder.manifestChecksum()
        var index = try folder.logIndex() ?? BackupLogIndex(manifest: manifest)
        let end = index.files(of: group.rawValue).last?.last ?? start
        guard end + 1 == first else {
            throw BackupError(.usage, "\(folder.path): the log ends at index \(end) by now; give the command again")
        }
        do {
            let partial = path + BackupFolder.partialSuffix
            if folder.fileSystem.exists(partial) { try folder.fileSystem.remove(partial) }
            let writer = try LogWriter.create(folder.fileSystem, path: partial)
            for page in pages { _ = try writer.append(.raftEntries, page) }
            try writer.sync()
            try writer.close()
            // One of this name that is not written down was left by a crash.
            try folder.fileSystem.rename(partial, to: path)
            try folder.fileSystem.synchronizeDirectory(directory)
            try folder.fileSystem.synchronizeDirectory(folder.path)
        } catch {
            throw BackupError(.file, "\(path): \(error)")
        }
        let (size, checksum) = try folder.read(path) { _ in }
        index.files.append(
            .init(
                name: name,
                group: group.rawValue,
                first: first,
                last: last,
                timeMs: time,
                size: size,
                crc32c: checksum
            )
        )
        try folder.replaceLogIndex(index)
    }

    /// Checks a page of entries: that they follow `last` without a gap and each has its checksum; the last index of it.
    package static func check(_ page: [UInt8], group: UInt32, after last: LogIndex) throws(BackupError) -> LogIndex {
        try follow(entries(page, GroupID(group)), GroupID(group), after: last)
    }

    private static func entries(_ page: [UInt8], _ group: GroupID) throws(BackupError) -> [Entry] {
        try decode(page.count, group) { () throws(DecodingError) in
            try page.withUnsafeBufferPointer { (bytes) throws(DecodingError) in
                try NodeLogRecord(.raftEntries, UnsafeRawBufferPointer(bytes))
            }
        }
    }

    /// The last index and the latest time that the log reaches from `index` on; `index` itself where nothing was fetched.
    package func extent(after index: LogIndex) throws(BackupError) -> (last: LogIndex, time: UInt64) {
        var (last, time): (LogIndex, UInt64) = (index, 0)
        try forEachEntry(after: index) { entry throws(BackupError) in
            (last, time) = (entry.index, max(time, entry.time))
            return true
        }
        return (last, time)
    }

    /// Hands over the entries behind `index`, in order and whole; `body` returns whether to go on.
    package func forEachEntry(
        after index: LogIndex,
        _ body: (Entry) throws(BackupError) -> Bool
    ) throws(BackupError) {
        var next = index + 1
        var isOver = false
        for file in try folder.logIndex()?.files(of: group.rawValue) ?? [] where !isOver {
            guard file.first <= next else {
                throw BackupError(
                    .damage,
                    "the log behind the backup has a gap: \(next) to \(file.first - 1) are missing"
                )
            }
            let path = directory + "/" + file.name
            try check(file, path)
            var failure: BackupError?
            let contents: LogContents
            do throws(LogError) {
                contents = try LogReader.read(folder.fileSystem, path: path) { record in
                    guard failure == nil, !isOver else { return }
                    do throws(BackupError) {
                        let entries = try Self.decode(record.payload.count, group) { () throws(DecodingError) in
                            try NodeLogRecord(record.kind, record.payload)
                        }
                        for entry in entries where entry.index >= next && !isOver {
                            _ = try Self.follow([entry], group, after: next - 1)
                            next += 1
                            if try !body(entry) { isOver = true }
                        }
                    } catch { failure = error }
                }
            } catch {
                throw BackupError(.damage, "\(path): \(error)")
            }
            if let failure { throw failure }
            // It was closed when it was made: an end that is torn is damage as any other.
            guard case .cleanEnd(_, isClosed: true) = contents.verdict else {
                throw BackupError(.damage, "\(path): \(contents.verdict)")
            }
        }
    }

    /// Refuses a file that is not the one that was saved.
    private func check(_ file: BackupLogIndex.File, _ path: String) throws(BackupError) {
        guard folder.fileSystem.exists(path) else {
            throw BackupError(
                .damage,
                "\(path), which \(BackupLogIndex.fileName) records, is missing: indexes \(file.first) to \(file.last) of the log"
            )
        }
        let (size, checksum) = try folder.read(path) { _ in }
        guard size == file.size, checksum == file.crc32c else {
            throw BackupError(
                .damage,
                "\(path) is not what was saved (\(size) bytes, \(file.size) expected): indexes \(file.first) to \(file.last) of the log"
            )
        }
    }

    private static func decode(
        _ size: Int,
        _ group: GroupID,
        _ read: () throws(DecodingError) -> NodeLogRecord
    ) throws(BackupError) -> [Entry] {
        let record: NodeLogRecord
        do throws(DecodingError) { record = try read() } catch {
            throw BackupError(.damage, "\(size) bytes of the log do not read: \(error)")
        }
        guard case .entries(let found, let entries) = record, found == group else {
            throw BackupError(.damage, "a record of the log holds something else than entries of group \(group)")
        }
        return entries
    }

    private static func follow(
        _ entries: [Entry],
        _ group: GroupID,
        after last: LogIndex
    ) throws(BackupError)
        -> LogIndex
    {
        var last = last
        for entry in entries {
            guard entry.index == last + 1 else {
                throw BackupError(.damage, "entry \(entry.index) of the log follows \(last)")
            }
            guard entry.holdsChecksum(group: group) else {
                throw BackupError(.damage, "entry \(entry.index) of the log does not fit its checksum")
            }
            last = entry.index
        }
        return last
    }
}
