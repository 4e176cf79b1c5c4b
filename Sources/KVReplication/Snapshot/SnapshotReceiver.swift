import DequeModule
import KVBase
import KVEnvironment

/// Takes in one transfer of a group's snapshot, chunk by chunk, into a folder beside the group's tablets.
///
/// Home scheduler; files are written on a worker, one chunk after the other.
///
/// SENDABLE: touched on the home scheduler; the worker's job carries its own copies.
final class SnapshotReceiver: @unchecked Sendable {
    /// Why a transfer cannot go on.
    struct Refusal: Error, CustomStringConvertible {
        let reason: String
        var description: String { reason }
    }

    let group: GroupID
    let transfer: UInt64
    let sender: NodeID
    let folder: String
    private(set) var manifest: SnapshotManifest?
    /// Whether all of it is on stable storage.
    private(set) var isComplete = false
    private(set) var chunks: UInt64 = 0
    var lastHeard: UInt64

    private let fileSystem: any FileSystem
    private let workers: any WorkerPool
    private let home: any Scheduler
    private let report: (SnapshotProgress) -> Void
    private var queue: Deque<SnapshotChunk> = []
    private var isWriting = false
    private var isRefused = false
    private let state = FileState()

    /// How many chunks may wait; the sender's window is smaller.
    private static let queueMax = 64

    /// The file that is being written.
    ///
    /// Touched by one job at a time.
    ///
    /// SENDABLE: jobs are strictly one after the other, handed over through the home scheduler.
    private final class FileState: @unchecked Sendable {
        var file: (any File)?
        var path = ""
        var offset: UInt64 = 0
        var manifest: SnapshotManifest?
        var next = 0
    }

    init(
        group: GroupID,
        transfer: UInt64,
        sender: NodeID,
        folder: String,
        fileSystem: any FileSystem,
        workers: any WorkerPool,
        home: any Scheduler,
        now: UInt64,
        report: @escaping (SnapshotProgress) -> Void
    ) {
        self.group = group
        self.transfer = transfer
        self.sender = sender
        self.folder = folder
        self.fileSystem = fileSystem
        self.workers = workers
        self.home = home
        self.report = report
        lastHeard = now
    }

    /// A chunk arrived.
    func receive(_ chunk: SnapshotChunk, now: UInt64) {
        guard !isRefused, !isComplete else { return }
        lastHeard = now
        guard queue.count < Self.queueMax else { return refuse("more than \(Self.queueMax) chunks wait to be written") }
        queue.append(chunk)
        writeNext()
    }

    private func refuse(_ reason: String) {
        guard !isRefused else { return }
        isRefused = true
        queue = []
        report(SnapshotProgress(group: group, transfer: transfer, state: .refused, chunks: chunks, reason: reason))
    }

    private func writeNext() {
        guard !isWriting, let chunk = queue.popFirst() else { return }
        isWriting = true
        let (state, fileSystem, folder) = (state, fileSystem, folder)
        workers.submit { [weak self, home] in
            let result = Result { try Self.write(chunk, state, fileSystem, folder) }
            home.execute { [weak self] in self?.written(chunk, result) }
        }
    }

    /// What became of a chunk.
    private enum Taken {
        case written
        /// It is there already, or one before it is missing: the sender hears how far this is and goes on from there.
        case outOfOrder
    }

    private func written(_ chunk: SnapshotChunk, _ result: Result<Taken, any Error>) {
        isWriting = false
        switch result {
        case .failure(let error):
            refuse((error as? Refusal)?.reason ?? "\(error)")
        case .success(.outOfOrder):
            report(SnapshotProgress(group: group, transfer: transfer, state: .receiving, chunks: chunks))
            writeNext()
        case .success(.written):
            chunks += 1
            manifest = state.manifest
            if chunk.endsSnapshot { isComplete = true }
            report(SnapshotProgress(group: group, transfer: transfer, state: .receiving, chunks: chunks))
            writeNext()
        }
    }

    // MARK: On the worker

    private static func write(
        _ chunk: SnapshotChunk,
        _ state: FileState,
        _ fileSystem: any FileSystem,
        _ folder: String
    ) throws -> Taken {
        guard CRC32C.checksum(chunk.bytes) == chunk.checksum else {
            throw Refusal(reason: "a chunk fails its checksum")
        }
        guard let manifest = state.manifest else {
            try begin(chunk, state, fileSystem, folder)
            return .written
        }
        if chunk.file == SnapshotManifest.fileName { return .outOfOrder }
        let paths = manifest.paths
        guard let number = paths.firstIndex(where: { $0.path == chunk.file }) else {
            throw Refusal(reason: "file \(chunk.file) is not in the manifest")
        }
        let here = state.file == nil ? 0 : state.offset
        guard number == state.next, chunk.offset == here else { return .outOfOrder }
        if state.file == nil {
            state.file = try fileSystem.open(folder + "/" + chunk.file, .createNew)
            state.offset = 0
        }
        guard let file = state.file else { throw Refusal(reason: "\(chunk.file) cannot be written") }
        try chunk.bytes.withUnsafeBytes { try file.write($0, at: chunk.offset) }
        state.offset += UInt64(chunk.bytes.count)
        if chunk.endsFile {
            guard state.offset == paths[state.next].size else {
                throw Refusal(reason: "\(chunk.file) has \(state.offset) bytes, \(paths[state.next].size) expected")
            }
            try file.synchronize()
            file.close()
            state.file = nil
            state.next += 1
        }
        if chunk.endsSnapshot {
            guard state.next == paths.count else {
                throw Refusal(reason: "the snapshot ends after \(state.next) of \(paths.count) files")
            }
            for part in manifest.parts { try fileSystem.synchronizeDirectory("\(folder)/\(part.shard)") }
            try fileSystem.synchronizeDirectory(folder)
        }
        return .written
    }

    private static func begin(
        _ chunk: SnapshotChunk,
        _ state: FileState,
        _ fileSystem: any FileSystem,
        _ folder: String
    ) throws {
        guard chunk.file == SnapshotManifest.fileName else {
            throw Refusal(reason: "the transfer does not begin with its manifest")
        }
        let manifest = try SnapshotManifest(decoding: chunk.bytes)
        guard manifest.index == chunk.index, manifest.term == chunk.term else {
            throw Refusal(reason: "the manifest is of another index")
        }
        try fileSystem.removeTree(folder)
        try fileSystem.createDirectory(folder)
        for part in manifest.parts { try fileSystem.createDirectory("\(folder)/\(part.shard)") }
        state.manifest = manifest
    }
}
