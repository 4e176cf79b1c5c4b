import KVEnvironment
import Synchronization

/// The open tables of all tablets of a node, bounded in number.
///
/// Each `TableFile` holds its reader; this keeps them in a ring and, when too many are open, takes the reader from
/// tables that were not used since the hand last passed (the clock algorithm: a use costs one relaxed store, no
/// lock). Any thread.
package final class TableCache: Sendable {
    /// How many tables may be open.
    package let openMax: Int
    private let ring = Mutex(Ring())

    private struct Ring {
        var files: [WeakTableFile] = []
        var hand = 0
    }

    private struct WeakTableFile {
        weak var file: TableFile?
    }

    /// A cache of at most `openMax` open tables.
    package init(openMax: Int) {
        precondition(openMax > 0, "a table cache of \(openMax) tables")
        self.openMax = openMax
    }

    /// How many tables are open now.
    package var openCount: Int { ring.withLock { $0.files.count { $0.file?.isOpen == true } } }

    /// Notes that `file` was opened, and closes others where that makes too many.
    func opened(_ file: TableFile) {
        ring.withLock { ring in
            ring.files.append(WeakTableFile(file: file))
            guard ring.files.count > openMax else { return }
            ring.files.removeAll { $0.file == nil }
            var passes = ring.files.count * 2
            while ring.files.count > openMax, passes > 0 {
                passes -= 1
                if ring.hand >= ring.files.count { ring.hand = 0 }
                if let candidate = ring.files[ring.hand].file, candidate === file || candidate.wasUsedSinceLastAsked() {
                    ring.hand += 1
                } else {
                    ring.files[ring.hand].file?.closeReader()
                    ring.files.remove(at: ring.hand)
                }
            }
        }
    }
}

/// A table of a version: its metadata, and its reader once it is open.
///
/// Versions, jobs and cursors hold it; when the last lets go of a table that the manifest no longer names, its number
/// goes to `obsolete` and a background job removes the file.
final class TableFile: Sendable {
    let metadata: TableMetadata
    let path: String
    private let environment: TableEnvironment
    private let reader = Mutex<TableReader?>(nil)
    private let used = Atomic<Bool>(false)
    private let obsolete = Atomic<Bool>(false)

    init(_ metadata: TableMetadata, _ environment: TableEnvironment) {
        self.metadata = metadata
        self.environment = environment
        path = environment.directory + "/" + TableFormat.name(metadata.number)
    }

    deinit {
        if obsolete.load(ordering: .acquiring) { environment.obsolete.add(metadata) }
    }

    /// Lets the file be removed once nobody reads it.
    func markObsolete() { obsolete.store(true, ordering: .releasing) }

    var isOpen: Bool { reader.withLock { $0 != nil } }

    /// The reader, opened if need be; nil where it is not open and `memoryOnly`.
    @inline(__always)
    func open(memoryOnly: Bool = false) throws(StorageError) -> TableReader? {
        if let present = reader.withLock({ $0 }) {
            if !used.load(ordering: .relaxed) { used.store(true, ordering: .relaxed) }
            return present
        }
        return memoryOnly ? nil : try openNow()
    }

    /// The reader, opened if need be.
    func openReader() throws(StorageError) -> TableReader {
        if let present = try open(memoryOnly: true) { return present }
        return try openNow()
    }

    private func openNow() throws(StorageError) -> TableReader {
        let file: any File
        do throws(FileError) { file = try environment.fileSystem.open(path, .read) } catch {
            if error.reason == .notFound {
                throw .corruption(file: path, offset: 0, length: metadata.size, what: "the file is missing")
            }
            throw .file(error)
        }
        let opened = try TableReader(
            file,
            uid: metadata.uid,
            cache: environment.shared.blockCache,
            scratches: environment.shared.scratches
        )
        guard opened.size == metadata.size else {
            throw .corruption(
                file: path,
                offset: 0,
                length: opened.size,
                what: "\(opened.size) bytes, the manifest says \(metadata.size)"
            )
        }
        let kept = reader.withLock { slot -> TableReader in
            if let other = slot { return other }
            slot = opened
            return opened
        }
        used.store(true, ordering: .relaxed)
        if kept === opened { environment.shared.tableCache.opened(self) }
        return kept
    }

    func wasUsedSinceLastAsked() -> Bool { used.exchange(false, ordering: .relaxed) }

    func closeReader() {
        // Whoever reads at this moment holds the reader; the file closes after.
        let closed = reader.withLock { slot -> TableReader? in
            defer { slot = nil }
            return slot
        }
        withExtendedLifetime(closed) {}
    }
}

/// What the tables of one tablet share.
final class TableEnvironment: Sendable {
    let fileSystem: any FileSystem
    let directory: String
    let shared: SharedResources
    let obsolete = ObsoleteFiles()

    init(fileSystem: any FileSystem, directory: String, shared: SharedResources) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.shared = shared
    }
}

/// The table files that nobody reads any more and that may be removed.
final class ObsoleteFiles: Sendable {
    private let files = Mutex<[(number: UInt64, uid: UInt64)]>([])

    func add(_ metadata: TableMetadata) { files.withLock { $0.append((metadata.number, metadata.uid)) } }

    var hasAny: Bool { files.withLock { !$0.isEmpty } }

    func takeAll() -> [(number: UInt64, uid: UInt64)] {
        files.withLock { files in
            defer { files = [] }
            return files
        }
    }
}
