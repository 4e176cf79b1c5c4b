package import KVBase
import KVEnvironment
import KVLog
package import KVRaft
import KVReplication

/// The entries behind a backup that were fetched later: what brings it to another point in time.
///
/// Each fetch is a record log of its own, named by the first index that it holds; they follow each other without a gap.
package struct RetainedLog {
    private let folder: BackupFolder
    private let group: GroupID

    /// The log of a group in a backup.
    package init(_ folder: BackupFolder, _ group: UInt32) {
        self.folder = folder
        self.group = GroupID(group)
    }

    private var directory: String { folder.path + "/log" }

    /// Adds entries, as a node hands them out; durable when this returns.
    ///
    /// - Parameters:
    ///   - first: The index after the last that is there.
    ///   - pages: The payloads of records with entries, in order.
    /// - Throws: `file`.
    package func append(from first: LogIndex, _ pages: [[UInt8]]) throws(BackupError) {
        guard !pages.isEmpty else { return }
        let path = directory + "/\(group)-\(first).log"
        do {
            try folder.fileSystem.createDirectory(directory)
            let partial = path + BackupFolder.partialSuffix
            if folder.fileSystem.exists(partial) { try folder.fileSystem.remove(partial) }
            let writer = try LogWriter.create(folder.fileSystem, path: partial)
            for page in pages { _ = try writer.append(.raftEntries, page) }
            try writer.sync()
            try writer.close()
            try folder.fileSystem.rename(partial, to: path)
            try folder.fileSystem.synchronizeDirectory(directory)
            try folder.fileSystem.synchronizeDirectory(folder.path)
        } catch {
            throw BackupError(.file, "\(path): \(error)")
        }
    }

    /// Checks a page of entries: that they follow `last` without a gap and each has its checksum; the last index of it.
    package static func check(_ page: [UInt8], group: UInt32, after last: LogIndex) throws(BackupError) -> LogIndex {
        let entries = try decode(page.count, GroupID(group)) { () throws(DecodingError) in
            try page.withUnsafeBufferPointer { (bytes) throws(DecodingError) in
                try NodeLogRecord(.raftEntries, UnsafeRawBufferPointer(bytes))
            }
        }
        return try follow(entries, GroupID(group), after: last)
    }

    /// The last index and time that the log reaches from `index` on; `index` itself where nothing was fetched.
    package func extent(after index: LogIndex) throws(BackupError) -> (last: LogIndex, time: UInt64) {
        var (last, time): (LogIndex, UInt64) = (index, 0)
        try forEachEntry(after: index) { entry throws(BackupError) in
            (last, time) = (entry.index, entry.time)
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
        for (first, path) in try files() where !isOver {
            guard first <= next else {
                throw BackupError(.damage, "the log behind the backup has a gap: \(next) to \(first - 1) are missing")
            }
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

    private func files() throws(BackupError) -> [(first: LogIndex, path: String)] {
        guard folder.fileSystem.exists(directory) else { return [] }
        let names: [String]
        do throws(FileError) { names = try folder.fileSystem.list(directory) } catch {
            throw BackupError(.file, "\(error)")
        }
        return names.compactMap { name -> (LogIndex, String)? in
            guard name.hasPrefix("\(group)-"), name.hasSuffix(".log"),
                let first = LogIndex(name.dropFirst("\(group)-".count).dropLast(4))
            else { return nil }
            return (first, directory + "/" + name)
        }.sorted { $0.0 < $1.0 }
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
