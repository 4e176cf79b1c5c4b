import KVBase
import KVEnvironment
import KVReplication
import KVSimulation
import Testing

/// A group's directory: an edit is whole or not there, acknowledged ones stay, and nothing else is believed.
struct GroupStoreTests {
    @Test func `every field of the state comes back from its bytes`() throws {
        let state = state(7)
        let bytes = state.encoded
        #expect(try bytes.withUnsafeBytes { try GroupManifestState($0) } == state)
        #expect(try GroupManifestState().encoded.withUnsafeBytes { try GroupManifestState($0) } == GroupManifestState())
    }

    @Test func `unknown odd fields are skipped and unknown even ones refused`() throws {
        var bytes = state(3).encoded
        bytes.append(varint: 1001)
        bytes.append(lengthPrefixed: [1, 2, 3])
        #expect(try bytes.withUnsafeBytes { try GroupManifestState($0) } == state(3))
        bytes.append(varint: 1002)
        bytes.append(lengthPrefixed: [])
        #expect(throws: DecodingError.self) { try bytes.withUnsafeBytes { try GroupManifestState($0) } }
    }

    @Test func `no bytes trap the decoder`() {
        let random = SeededRandomness(seed: 5)
        let whole = state(9).encoded
        for _ in 0..<2000 {
            var bytes = Array(whole.prefix(random.below(whole.count + 1)))
            for _ in 0..<random.below(4) where !bytes.isEmpty {
                bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            _ = bytes.withUnsafeBytes { bytes in try? GroupManifestState(bytes) }
        }
    }

    @Test func `a change is durable when its completion runs`() throws {
        let group = GroupFixture(seed: 1)
        try group.open()
        for number in 1...5 { group.change(to: state(UInt64(number))) }
        group.world.runUntilIdle()
        #expect(group.acknowledged == state(5))
        group.restart(.loseAll)
        try group.open()
        #expect(group.store?.state == state(5))
    }

    @Test(arguments: CrashSurvival.allCases)
    func `after a crash at every operation the state is one of the edits, no older than an acknowledged one`(
        survival: CrashSurvival
    ) throws {
        let measure = GroupFixture(seed: 0)
        try work(measure)
        #expect(measure.disk.operationCount > 15)
        for operation in 1...measure.disk.operationCount {
            let group = GroupFixture(seed: UInt64(operation))
            group.disk.faults.crashAt = operation
            do { try work(group) } catch {}
            for round in 0..<2 {
                group.restart(survival)
                let context = "crash at \(operation), \(survival), opening \(round)"
                // The second opening comes after a crash in the middle of the first.
                if round == 0 {
                    group.disk.resetCounters()
                    group.disk.faults.crashAt = 1 + operation % 7
                    do { try group.open() } catch {}
                    continue
                }
                #expect(throws: Never.self, "\(context)") { try group.open() }
                let found = try #require(group.store?.state)
                let candidates = [GroupFixture.initial] + (1...6).map { state(UInt64($0)) }
                let place = candidates.firstIndex(of: found)
                #expect(place != nil, "\(context): \(found) is no edit")
                let acknowledged = group.acknowledged.flatMap { candidates.firstIndex(of: $0) } ?? 0
                #expect(place ?? -1 >= acknowledged, "\(context): an acknowledged edit is gone")
            }
        }
    }

    @Test func `after an error the owner is told, and the next change writes the file anew`() throws {
        let measure = GroupFixture(seed: 0)
        try work(measure)
        for operation in 1...measure.disk.operationCount {
            for reason in [FileError.Reason.inputOutput, .noSpace] {
                let group = GroupFixture(seed: UInt64(operation))
                group.disk.faults.failAt = operation
                group.disk.faults.reason = reason
                do { try work(group) } catch { continue }
                group.change(to: state(9))
                group.world.runUntilIdle()
                #expect(group.acknowledged == state(9), "\(reason) at \(operation)")
                group.restart(.loseAll)
                try group.open()
                #expect(group.store?.state == state(9), "\(reason) at \(operation)")
            }
        }
    }

    @Test func `a flipped bit makes an older edit or an error, never another state`() throws {
        let group = GroupFixture(seed: 2)
        try work(group)
        group.restart(nil)
        let path = GroupFixture.directory + "/MANIFEST"
        let size = try #require(group.disk.content(of: path)).count
        let candidates = [GroupFixture.initial] + (1...6).map { state(UInt64($0)) }
        for byte in 0..<size {
            let copy = GroupFixture(seed: 3, disk: group.disk.copy())
            copy.disk.flipBit(byte * 8 + byte % 8, of: path)
            do {
                try copy.open()
                #expect(copy.store.map { candidates.contains($0.state) } == true, "byte \(byte)")
            } catch {
                #expect("\(error)".contains("MANIFEST"), "byte \(byte): \(error)")
            }
        }
    }

    @Test func `directories that the manifest does not name are removed, others stay`() throws {
        let group = GroupFixture(seed: 4)
        try group.open()
        group.change(to: state(2))
        group.world.runUntilIdle()
        let live = state(2).tablets.map { group.path($0.directory + "/CURRENT") }
        for path in live + [group.path("9-9-9/CURRENT"), group.path("snapshot-5/0/a.sst")] {
            group.disk.setContent([1], of: path)
        }
        group.restart(.loseAll)
        try group.open()
        let left = group.disk.allFiles().filter { !$0.hasSuffix("MANIFEST") && !$0.hasSuffix("made") }
        #expect(left == live.map { "/" + $0 }.sorted())
    }

    @Test func `a directory with tablets and no manifest is a loss, and nothing in it is removed`() throws {
        let group = GroupFixture(seed: 5)
        try group.open()
        group.change(to: state(2))
        group.world.runUntilIdle()
        let tablet = group.path("0-1-1/CURRENT")
        group.disk.setContent([1], of: tablet)
        group.restart(nil)
        try group.disk.remove(group.path("MANIFEST"))
        #expect(throws: GroupStore.Failure.self) { try group.open() }
        #expect(group.disk.exists(tablet))
    }

    private func work(_ group: GroupFixture) throws {
        try group.open()
        for number in 1...6 {
            group.change(to: state(UInt64(number)))
            // Two changes share a write now and then.
            if number % 3 != 0 { group.world.runUntilIdle() }
        }
        group.world.runUntilIdle()
    }

    /// A state unlike those of other numbers.
    private func state(_ number: UInt64) -> GroupManifestState {
        var state = GroupManifestState()
        state.membership = (0..<UInt8(number)).map { $0 }
        state.membershipIndex = number * 10
        state.cutIndex = number * 100
        state.cutTerm = number
        state.tablets = (0..<number).map {
            .init(shard: ShardID(UInt32($0)), epoch: Epoch(1), number: $0 + 1)
        }
        state.nextNumber = number + 1
        state.highestEpoch = [ShardID(0): Epoch(number)]
        return state
    }
}

/// A group's directory in virtual time, on a simulated disk.
private final class GroupFixture {
    static let directory = "data/groups/1"
    static var initial: GroupManifestState {
        var state = GroupManifestState()
        state.membership = [42]
        return state
    }

    let world: SimulatedWorld
    let disk: SimulatedFileSystem
    private(set) var store: GroupStore?
    private var domain = SimulatedDomain("n1")
    private let seen = Seen()

    // SENDABLE: the simulator runs in one thread.
    private final class Seen: @unchecked Sendable {
        var acknowledged: GroupManifestState?
    }

    init(seed: UInt64, disk: SimulatedFileSystem? = nil) {
        world = SimulatedWorld(seed: seed)
        if let disk {
            self.disk = disk
        } else {
            self.disk = SimulatedFileSystem(seed: seed)
            // What the node makes durable before its groups.
            self.disk.setContent([], of: "data/groups/made")
        }
    }

    /// The last state whose change was acknowledged without an error.
    var acknowledged: GroupManifestState? { seen.acknowledged }

    func path(_ name: String) -> String { Self.directory + "/" + name }

    func open() throws(GroupStore.Failure) {
        store = try GroupStore.open(
            Self.directory,
            fileSystem: disk,
            workers: world.makeWorkerPool("workers", in: domain),
            home: world.makeScheduler("home", in: domain),
            initial: { Self.initial }
        )
    }

    func change(to state: GroupManifestState) {
        let seen = seen
        store?.change {
            $0 = state
        } completion: { error in
            if error == nil { seen.acknowledged = state }
        }
    }

    func restart(_ survival: CrashSurvival?) {
        domain.kill()
        domain = SimulatedDomain("n1")
        store = nil
        if let survival { disk.crash(survival) }
    }
}
