import KVBase
import KVEnvironment
import KVSimulation
import Testing

@testable import KVReplication

/// One transfer between a sender and a receiver over a connection that loses what it is told to lose.
///
/// SENDABLE: the simulator runs in one thread.
private final class Transfer: @unchecked Sendable {
    let world: SimulatedWorld
    let disk = SimulatedFileSystem(seed: 4)
    let home: SimulatedScheduler
    let pool: SimulatedWorkerPool
    let manifest: SnapshotManifest
    var sender: SnapshotSender?
    var receiver: SnapshotReceiver?
    var isDelivered = false
    var failures: [String] = []
    var sentCount = 0
    /// Whether the chunk with this number, counted over all that were sent, arrives.
    var arrives: (Int) -> Bool = { _ in true }
    static let size = 10_000

    init() throws {
        world = SimulatedWorld(seed: 9)
        let domain = SimulatedDomain("n1")
        home = world.makeScheduler("home", in: domain)
        pool = world.makeWorkerPool("pool", in: domain)
        try disk.createDirectory("/out")
        try disk.createDirectory("/out/0")
        for name in ["a", "b"] { try disk.replace("/out/0/" + name, with: Self.content(name)) }
        try disk.replace("/out/0/empty", with: [])
        manifest = SnapshotManifest(
            index: 5,
            term: 2,
            membership: [1],
            parts: [
                .init(
                    shard: ShardID(0),
                    epoch: Epoch(1),
                    files: [
                        .init(name: "a", size: UInt64(Self.size)), .init(name: "empty", size: 0),
                        .init(name: "b", size: UInt64(Self.size)),
                    ]
                )
            ]
        )
    }

    static func content(_ name: String) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 * 7 + name.count) } }

    func makeReceiver() {
        receiver = SnapshotReceiver(
            group: GroupID(1),
            transfer: 1,
            sender: NodeID(1),
            folder: "/in",
            fileSystem: disk,
            workers: pool,
            home: home,
            now: world.now,
            report: { [self] progress in
                if progress.state == .refused { failures.append(progress.reason) }
                home.execute { [self] in sender?.progressed(chunks: progress.chunks, now: world.now) }
            }
        )
    }

    func start() {
        let sender = SnapshotSender(
            group: GroupID(1),
            transfer: 1,
            target: NodeID(2),
            manifest: manifest,
            folder: "/out",
            chunkBytes: 1_000,
            fileSystem: disk,
            workers: pool,
            home: home,
            now: world.now,
            send: { [self] chunk in
                sentCount += 1
                guard arrives(sentCount) else { return true }
                home.execute { [self] in
                    if let receiver { receiver.receive(chunk, now: world.now) } else { forgotten(chunk) }
                }
                return true
            },
            delivered: { [self] in isDelivered = true },
            failed: { [self] in failures.append($0) }
        )
        self.sender = sender
        home.execute {
            sender.begin()
            sender.sendMore()
        }
    }

    /// What a node does that knows nothing of the transfer.
    private func forgotten(_ chunk: SnapshotChunk) {
        guard chunk.file == SnapshotManifest.fileName else {
            return sender?.progressed(chunks: 0, now: world.now) ?? ()
        }
        makeReceiver()
        receiver?.receive(chunk, now: world.now)
    }

    /// Lets time pass, with the ticks that a node would have.
    func pass(seconds: Int) {
        for _ in 0..<seconds {
            _ = home.schedule(afterNanoseconds: 1_000_000_000) { [self] in sender?.tick(now: world.now) }
            world.runUntilIdle()
        }
    }

    func expectWhole() throws {
        #expect(failures == [])
        #expect(isDelivered)
        #expect(receiver?.isComplete == true)
        for name in ["a", "b"] { #expect(try disk.readAll("/in/0/" + name) == Self.content(name)) }
        #expect(try disk.readAll("/in/0/empty") == [])
    }
}

@Suite struct `a snapshot on its way` {
    @Test func `arrives whole, each chunk once`() throws {
        let transfer = try Transfer()
        transfer.start()
        transfer.world.runUntilIdle()
        try transfer.expectWhole()
        #expect(transfer.sentCount == 22)
    }

    @Test(arguments: 1...22)
    func `goes on where a connection lost a chunk`(_ lost: Int) throws {
        let transfer = try Transfer()
        transfer.arrives = { $0 != lost }
        transfer.start()
        transfer.pass(seconds: 6)
        try transfer.expectWhole()
        // At most a window is sent again, not the snapshot.
        #expect(transfer.sentCount <= 22 + 8)
    }

    @Test func `goes on where a connection lost all that was on its way, again and again`() throws {
        let transfer = try Transfer()
        transfer.arrives = { $0 % 20 < 6 }
        transfer.start()
        transfer.pass(seconds: 60)
        try transfer.expectWhole()
    }

    @Test func `begins anew for a receiver that was started anew, with the same snapshot`() throws {
        let transfer = try Transfer()
        transfer.arrives = { $0 < 12 }
        transfer.start()
        transfer.world.runUntilIdle()
        #expect(!transfer.isDelivered)
        transfer.receiver = nil
        transfer.arrives = { _ in true }
        transfer.pass(seconds: 6)
        try transfer.expectWhole()
    }
}
