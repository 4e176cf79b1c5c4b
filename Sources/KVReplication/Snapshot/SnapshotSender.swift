import KVBase
import KVEnvironment

/// Sends one snapshot of a group to one node: a window of chunks at a time, each read from its file by a worker when there is room.
///
/// Chunks are numbered; the receiver says how many it has in order. What got lost with a connection is sent again from there, and from
/// the start to a receiver that knows nothing of the transfer any more: the snapshot itself is made once.
///
/// SENDABLE: touched on the home scheduler; the workers' jobs carry their own copies.
final class SnapshotSender: @unchecked Sendable {
    let group: GroupID
    let transfer: UInt64
    let target: NodeID
    let manifest: SnapshotManifest
    let folder: String
    /// When the receiver last said that it got on.
    private(set) var lastHeard: UInt64
    /// When chunks were sent again last.
    private var lastRewound: UInt64
    /// Whether the receiver has everything and its core was told.
    private(set) var isDelivered = false

    private let chunkBytes: Int
    private let fileSystem: any FileSystem
    private let workers: any WorkerPool
    private let home: any Scheduler
    private let send: (SnapshotChunk) -> Bool
    private let delivered: () -> Void
    private let failed: (String) -> Void
    private var sentCount: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var isReading = false
    private var isOver = false
    private var unsent: SnapshotChunk?
    private var place: (file: Int, offset: UInt64) = (0, 0)
    /// Where each chunk that may be sent again begins, by its number; the first is the manifest.
    private var places: [UInt64: (file: Int, offset: UInt64)] = [:]
    /// Grows when chunks are sent again, so that a read of before is not taken for the next.
    private var reading: UInt64 = 0
    private let paths: [(path: String, size: UInt64)]
    private var total: UInt64?

    /// How many chunks may be on their way.
    private static let window: UInt64 = 8
    /// After so long without a sign of the receiver what it has not acknowledged is sent again.
    private static let resendNanoseconds: UInt64 = 3_000_000_000

    init(
        group: GroupID,
        transfer: UInt64,
        target: NodeID,
        manifest: SnapshotManifest,
        folder: String,
        chunkBytes: Int,
        fileSystem: any FileSystem,
        workers: any WorkerPool,
        home: any Scheduler,
        now: UInt64,
        send: @escaping (SnapshotChunk) -> Bool,
        delivered: @escaping () -> Void,
        failed: @escaping (String) -> Void
    ) {
        self.group = group
        self.transfer = transfer
        self.target = target
        self.manifest = manifest
        self.folder = folder
        self.chunkBytes = chunkBytes
        self.fileSystem = fileSystem
        self.workers = workers
        self.home = home
        self.send = send
        self.delivered = delivered
        self.failed = failed
        lastHeard = now
        lastRewound = now
        paths = manifest.paths
    }

    /// Sends the manifest.
    func begin() {
        let isAll = paths.isEmpty
        leave(
            chunk(
                SnapshotManifest.fileName,
                offset: 0,
                bytes: manifest.encoded,
                endsFile: true,
                endsSnapshot: isAll
            )
        )
        if isAll { total = sentCount }
    }

    /// The receiver got on.
    func progressed(chunks: UInt64, now: UInt64) {
        guard !isOver, chunks <= sentCount, !isDelivered else { return }
        // Nothing at all: it was started anew, and knows nothing of this transfer.
        if chunks == 0, acknowledged > 0 { return rewind(to: 0, now: now) }
        if chunks > acknowledged { lastHeard = now }
        for number in acknowledged..<max(acknowledged, chunks) { places[number] = nil }
        acknowledged = max(acknowledged, chunks)
        if let total, acknowledged == total, !isDelivered {
            isDelivered = true
            delivered()
        }
        sendMore()
    }

    /// Tries again what the transport did not take, and reads on where there is room.
    func sendMore() {
        guard !isOver else { return }
        if let chunk = unsent {
            unsent = nil
            leave(chunk)
            guard unsent == nil else { return }
        }
        guard !isReading, total == nil, sentCount - acknowledged < Self.window else { return }
        readNext()
    }

    /// Sends again what was not acknowledged for long; then tries to go on.
    func tick(now: UInt64) {
        guard !isOver else { return }
        let quietSince = max(lastHeard, lastRewound)
        if !isDelivered, sentCount > acknowledged, now > quietSince + Self.resendNanoseconds {
            rewind(to: acknowledged, now: now)
        } else {
            sendMore()
        }
    }

    /// Goes back to a chunk that may have been lost.
    private func rewind(to number: UInt64, now: UInt64) {
        lastRewound = now
        reading += 1
        isReading = false
        unsent = nil
        total = nil
        sentCount = number
        acknowledged = number
        if number == 0 {
            places = [:]
            place = (0, 0)
            begin()
        } else if let known = places[number] {
            place = known
        }
        sendMore()
    }

    /// Nothing is sent any more.
    func end() {
        isOver = true
    }

    private func leave(_ chunk: SnapshotChunk) {
        if send(chunk) { sentCount += 1 } else { unsent = chunk }
    }

    private func readNext() {
        isReading = true
        places[sentCount] = place
        let turn = reading
        let (path, size) = paths[place.file]
        let offset = place.offset
        let count = Int(min(UInt64(chunkBytes), size - offset))
        let (fileSystem, folder) = (fileSystem, folder)
        workers.submit { [weak self, home] in
            let bytes = Result { try Self.read(count, at: offset, of: folder + "/" + path, fileSystem) }
            home.execute { [weak self] in self?.chunkRead(bytes, turn) }
        }
    }

    private func chunkRead(_ result: Result<[UInt8], any Error>, _ turn: UInt64) {
        guard turn == reading else { return }
        isReading = false
        guard !isOver else { return }
        switch result {
        case .failure(let error):
            isOver = true
            failed("\(error)")
        case .success(let bytes):
            let (path, size) = paths[place.file]
            let offset = place.offset
            let endsFile = offset + UInt64(bytes.count) == size
            let endsSnapshot = endsFile && place.file == paths.count - 1
            place = endsFile ? (place.file + 1, 0) : (place.file, offset + UInt64(bytes.count))
            if endsSnapshot { total = sentCount + 1 }
            leave(chunk(path, offset: offset, bytes: bytes, endsFile: endsFile, endsSnapshot: endsSnapshot))
            sendMore()
        }
    }

    private func chunk(
        _ file: String,
        offset: UInt64,
        bytes: [UInt8],
        endsFile: Bool,
        endsSnapshot: Bool
    ) -> SnapshotChunk {
        SnapshotChunk(
            group: group,
            transfer: transfer,
            index: manifest.index,
            term: manifest.term,
            file: file,
            offset: offset,
            endsFile: endsFile,
            endsSnapshot: endsSnapshot,
            checksum: CRC32C.checksum(bytes),
            bytes: bytes
        )
    }

    private static func read(
        _ count: Int,
        at offset: UInt64,
        of path: String,
        _ fileSystem: any FileSystem
    ) throws -> [UInt8] {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
        guard got == count else { throw FileError(.read, path: path, reason: .inputOutput) }
        return bytes
    }
}
