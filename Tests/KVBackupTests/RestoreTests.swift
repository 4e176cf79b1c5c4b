import KVBackup
import KVBase
import KVEnvironment
import KVInspection
import KVReplication
import KVSimulation
import Testing

@Suite struct `restoring a backup` {
    @Test func `every member gets the same data under a new identity`() throws {
        let saved = try SavedBackup()
        #expect(try BackupFolder(saved.disk, SavedBackup.path).verify() == [])
        for node: UInt64 in [1, 2] { #expect(try saved.restore(node).index == SavedBackup.index) }
        for directory in ["/new1", "/new2"] {
            #expect(try saved.keys(in: directory) == SavedBackup.keys(through: SavedBackup.index))
            #expect(try saved.disk.list(directory).sorted() == ["LOCK", "groups", "node.yaml"])
        }
        let first = try #require(try IdentityStore.stored(in: "/new1", saved.disk))
        let second = try #require(try IdentityStore.stored(in: "/new2", saved.disk))
        #expect(first.cluster == SavedBackup.plan.cluster && second.cluster == first.cluster)
        #expect(first.cluster != SavedBackup.cluster)
        #expect(first.peers == [NodeID(2): second.incarnation])
        #expect(second.peers == [NodeID(1): first.incarnation])
        let state = try #require(GroupManifestInspection.read(saved.disk, "/new1/groups/1").state)
        #expect(state.cutIndex == SavedBackup.index && state.cutTerm == 3)
    }

    @Test func `the log brings it to any later index`() throws {
        for index in SavedBackup.index...SavedBackup.last {
            let saved = try SavedBackup()
            let outcome = try saved.restore(until: .index(index))
            #expect(outcome.index == index && outcome.entries == index - SavedBackup.index)
            #expect(try saved.keys(in: "/new1")?.sorted() == SavedBackup.keys(through: index).sorted())
        }
    }

    @Test func `the log brings it to any later time`() throws {
        let saved = try SavedBackup()
        #expect(try saved.restore(until: .time(13_999)).index == 13)
        #expect(try saved.keys(in: "/new1")?.sorted() == SavedBackup.keys(through: 13).sorted())
        #expect(try saved.restore(2, until: .committed).index == SavedBackup.last)
    }

    @Test func `a point that is not covered is refused and nothing is made`() throws {
        let saved = try SavedBackup()
        for end: WALReplay.ReplayEnd in [.index(9), .index(17), .time(9_000), .time(16_001)] {
            #expect(throws: BackupError.self) { try saved.restore(until: end) }
            #expect(!saved.disk.exists("/new1"))
        }
    }

    @Test func `a directory that is not empty is left as it is`() throws {
        let saved = try SavedBackup()
        try saved.disk.createDirectory("/new1")
        try saved.disk.replace("/new1/somebody", with: [1])
        #expect(throws: BackupError.self) { try saved.restore() }
        #expect(try saved.disk.list("/new1") == ["somebody"])
        _ = try saved.restore(2)
        #expect(throws: BackupError.self) { try saved.restore(2) }
        #expect(try saved.keys(in: "/new2") == SavedBackup.keys(through: SavedBackup.index))
    }

    @Test func `two at once into one directory exclude each other, and a node that runs there`() throws {
        let saved = try SavedBackup()
        try saved.disk.createDirectory("/new1")
        let lock = try saved.disk.lock("/new1/LOCK")
        let refusal = #expect(throws: BackupError.self) { try saved.restore() }
        #expect(refusal?.description.contains("in use") == true)
        #expect(try saved.disk.list("/new1") == ["LOCK"])
        lock.release()
        #expect(try saved.restore().index == SavedBackup.index)
    }

    @Test func `the old cluster's own id is refused`() throws {
        let saved = try SavedBackup()
        var plan = SavedBackup.plan
        plan.cluster = SavedBackup.cluster
        #expect(throws: BackupError.self) {
            try BackupRestore(saved.environment, from: SavedBackup.path).restore(NodeID(1), of: plan)
        }
    }

    @Test func `a machine that stops at any moment leaves nothing that a node would start from but the whole`() throws {
        let sizing = try SavedBackup()
        sizing.disk.resetCounters()
        _ = try sizing.restore(until: .index(13))
        let steps = sizing.disk.operationCount
        #expect(steps > 20)
        for step in 1...steps {
            for survival in CrashSurvival.allCases {
                let saved = try SavedBackup(seed: UInt64(step))
                saved.disk.resetCounters()
                saved.disk.faults.crashAt = step
                // What it says of the crash is nobody's business; what is on the disk is.
                _ = try? saved.restore(until: .index(13))
                saved.disk.crash(survival)
                let found = try saved.keys(in: "/new1")
                let expected = SavedBackup.keys(through: 13)
                #expect(found == nil || found == expected, "step \(step), \(survival)")
                if found == nil || saved.disk.exists("/new1/RESTORING") {
                    _ = try saved.restore(until: .index(13))
                    #expect(try saved.keys(in: "/new1") == expected, "step \(step), \(survival), again")
                }
                #expect(!saved.disk.exists("/new1/RESTORING"))
            }
        }
    }

    @Test func `a disk error at any moment is told and the next attempt succeeds`() throws {
        let sizing = try SavedBackup()
        sizing.disk.resetCounters()
        _ = try sizing.restore()
        for step in 1...sizing.disk.operationCount {
            let saved = try SavedBackup(seed: UInt64(step))
            saved.disk.resetCounters()
            saved.disk.faults.failAt = step
            do {
                _ = try saved.restore()
            } catch {
                saved.disk.faults = DiskFaults()
                if saved.disk.exists("/new1/node.yaml"), !saved.disk.exists("/new1/RESTORING") { continue }
                _ = try saved.restore()
            }
            #expect(try saved.keys(in: "/new1") == SavedBackup.keys(through: SavedBackup.index), "step \(step)")
        }
    }
}
