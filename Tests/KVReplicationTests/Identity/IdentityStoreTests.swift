import KVBase
import KVEnvironment
import KVReplication
import KVSimulation
import Testing

/// Whose a data directory is, and what it remembers of its peers.
struct IdentityStoreTests {
    static let cluster = ClusterID(high: 0x0123_4567_89ab_cdef, low: 7)
    let disk = SimulatedFileSystem(seed: 1)

    init() {
        disk.setContent([], of: "data/LOCK")
    }

    @Test func `the text comes back as the identity that it says`() throws {
        var identity = NodeIdentity(cluster: Self.cluster, node: NodeID(3), incarnation: Incarnation(0xfeed))
        #expect(try NodeIdentity(parsing: Array(identity.text.utf8)) == identity)
        identity.isFormed = true
        identity.peers = [NodeID(1): Incarnation(5), NodeID(2): Incarnation(.max)]
        #expect(try NodeIdentity(parsing: Array(identity.text.utf8)) == identity)
    }

    @Test func `a directory that joined is not held against the configuration, and remembers that it was removed`()
        throws
    {
        var identity = NodeIdentity(cluster: Self.cluster, node: NodeID(3), incarnation: Incarnation(0xfeed))
        identity.isJoined = true
        identity.isRemoved = true
        #expect(try NodeIdentity(parsing: Array(identity.text.utf8)) == identity)
    }

    @Test func `any changed byte of the text is refused`() throws {
        var identity = NodeIdentity(cluster: Self.cluster, node: NodeID(3), incarnation: Incarnation(0xfeed))
        identity.peers = [NodeID(1): Incarnation(5)]
        let whole = Array(identity.text.utf8)
        for place in whole.indices {
            for bit in 0..<8 {
                var bytes = whole
                bytes[place] ^= 1 << bit
                #expect(throws: NodeIdentity.Malformed.self) { try NodeIdentity(parsing: bytes) }
            }
            #expect(throws: NodeIdentity.Malformed.self) { try NodeIdentity(parsing: Array(whole[..<place])) }
        }
    }

    @Test func `a new directory gets an incarnation and keeps it`() throws {
        let first = try open().identity
        disk.crash(.loseAll)
        #expect(try open(seed: 99).identity == first)
        #expect(first.incarnation.rawValue != 0)
    }

    @Test func `another node's and another cluster's directory are refused by name`() throws {
        _ = try open()
        #expect(failure { try open(node: 2) }?.contains("belongs to node 1") == true)
        let other = ClusterID(high: 1, low: 1)
        #expect(failure { try open(cluster: other) }?.contains("belongs to cluster \(Self.cluster)") == true)
    }

    @Test(arguments: ["data/log/00000001.log", "data/groups/1/MANIFEST"])
    func `a directory with data and no identity is never taken for a new one`(path: String) throws {
        disk.setContent([1], of: path)
        #expect(failure { try open() }?.contains("no node.yaml") == true)
        #expect(disk.content(of: "data/node.yaml") == nil)
    }

    @Test func `a damaged identity is refused and left as it is`() throws {
        _ = try open()
        disk.flipBit(100, of: "data/node.yaml")
        let damaged = disk.content(of: "data/node.yaml")
        #expect(failure { try open() }?.contains("damaged") == true)
        #expect(disk.content(of: "data/node.yaml") == damaged)
    }

    @Test(arguments: CrashSurvival.allCases)
    func `a peer that was acknowledged as remembered is known after a crash at every operation`(
        survival: CrashSurvival
    ) throws {
        func work(_ disk: SimulatedFileSystem, _ seen: Remembered) throws {
            let world = SimulatedWorld(seed: 3)
            let domain = SimulatedDomain("n1")
            let store = try open(disk: disk, world: world, domain: domain)
            seen.incarnation = store.identity.incarnation
            for peer: UInt64 in 2...5 {
                store.remember(NodeID(peer), Incarnation(peer * 11)) { error in
                    if error == nil { seen.peers[NodeID(peer)] = Incarnation(peer * 11) }
                }
                if peer % 2 == 0 { world.runUntilIdle() }
            }
            store.markFormed { error in if error == nil { seen.isFormed = true } }
            world.runUntilIdle()
        }
        func fresh(_ seed: Int) -> SimulatedFileSystem {
            let disk = SimulatedFileSystem(seed: UInt64(seed))
            disk.setContent([], of: "data/LOCK")
            return disk
        }
        let measure = fresh(0)
        try work(measure, Remembered())
        #expect(measure.operationCount > 10)
        for operation in 1...measure.operationCount {
            let (disk, seen) = (fresh(operation), Remembered())
            disk.faults.crashAt = operation
            do { try work(disk, seen) } catch {}
            disk.crash(survival)
            let identity = try open(disk: disk).identity
            if let incarnation = seen.incarnation { #expect(identity.incarnation == incarnation) }
            for (peer, incarnation) in seen.peers { #expect(identity.peers[peer] == incarnation) }
            if seen.isFormed { #expect(identity.isFormed) }
        }
    }

    // SENDABLE: the simulator runs in one thread.
    private final class Remembered: @unchecked Sendable {
        var incarnation: Incarnation?
        var peers: [NodeID: Incarnation] = [:]
        var isFormed = false
    }

    private func open(
        disk: SimulatedFileSystem? = nil,
        world: SimulatedWorld = SimulatedWorld(seed: 1),
        domain: SimulatedDomain = SimulatedDomain("n1"),
        cluster: ClusterID = Self.cluster,
        node: UInt64 = 1,
        seed: UInt64 = 7
    ) throws(IdentityStore.Failure) -> IdentityStore {
        try IdentityStore.open(
            "data",
            cluster: cluster,
            node: NodeID(node),
            fileSystem: disk ?? self.disk,
            workers: world.makeWorkerPool("workers", in: domain),
            home: world.makeScheduler("home", in: domain),
            randomness: SeededRandomness(seed: seed)
        )
    }

    /// What a refusal says; nil where there is none.
    private func failure(_ body: () throws -> IdentityStore) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            return "\(error)"
        }
    }
}
