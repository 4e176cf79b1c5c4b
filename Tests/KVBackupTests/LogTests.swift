import KVBackup
import KVBase
import KVInspection
import KVSimulation
import Testing

@Suite struct `the log behind a backup` {
    private static let record = SavedBackup.path + "/log.json"
    private static let file = SavedBackup.path + "/log/1-11.log"

    /// What is wrong is told by verify and by a restore that needs it, and by no other.
    private static func expectFound(_ saved: SavedBackup, _ what: Comment) throws {
        let findings = try BackupFolder(saved.disk, SavedBackup.path).verify()
        #expect(!findings.isEmpty, what)
        for end: WALReplay.ReplayEnd in [.index(SavedBackup.last), .time(13_000), .committed] {
            #expect(throws: BackupError.self, what) { try saved.restore(until: end) }
            #expect(!saved.disk.exists("/new1"), what)
        }
        #expect(try saved.restore(2).index == SavedBackup.index, what)
    }

    @Test(arguments: [record, file]) func `any byte of it that is turned over is found`(file: String) throws {
        let size = try #require(try SavedBackup().disk.content(of: file)).count
        for place in stride(from: 0, to: size, by: 11) {
            let saved = try SavedBackup()
            saved.disk.flipBit(place * 8, of: file)
            try Self.expectFound(saved, "\(file) at \(place)")
        }
    }

    @Test func `a file that is missing or another backup's is found`() throws {
        let missing = try SavedBackup()
        try missing.disk.remove(Self.file)
        try Self.expectFound(missing, "missing")

        // Whole in itself, but of other entries.
        let other = try SavedBackup(hasLog: false)
        try other.addLog(11...15)
        let foreign = try SavedBackup()
        foreign.disk.setContent(try #require(other.disk.content(of: Self.file)), of: Self.file)
        try Self.expectFound(foreign, "foreign")

        let record = try SavedBackup()
        try record.save("second", base: nil, node: "/other")
        var manifest = try BackupFolder(record.disk, SavedBackup.path).manifest()
        manifest.createdAtMs += 1
        record.disk.setContent(try manifest.encoded(), of: SavedBackup.path + "/manifest.json")
        try Self.expectFound(record, "the record of another")
    }

    @Test func `files without the record are none`() throws {
        let saved = try SavedBackup()
        try saved.disk.remove(Self.record)
        try Self.expectFound(saved, "no record")
        // They are fetched anew over what is there.
        try saved.addLog(11...16)
        #expect(try BackupFolder(saved.disk, SavedBackup.path).verify() == [])
        #expect(try saved.restore(until: .committed).index == 16)
    }

    @Test func `without a log nothing behind the backup can be asked for`() throws {
        let saved = try SavedBackup(hasLog: false)
        #expect(try BackupFolder(saved.disk, SavedBackup.path).verify() == [])
        for end: WALReplay.ReplayEnd in [.committed, .index(11), .time(11_000)] {
            let refusal = #expect(throws: BackupError.self) { try saved.restore(until: end) }
            #expect(refusal?.description.contains("no log was saved behind the backup, which holds index 10") == true)
            #expect(!saved.disk.exists("/new1"))
        }
        #expect(try saved.restore(until: .index(10)).index == 10)
        #expect(try saved.restore(2).index == 10)
    }

    @Test func `a time behind its end is refused with where it ends`() throws {
        let saved = try SavedBackup()
        let refusal = #expect(throws: BackupError.self) { try saved.restore(until: .time(60_000)) }
        let text =
            "ends at index 16, 1970-01-01T00:00:16.000Z, before 1970-01-01T00:01:00.000Z: '--until end' takes all"
        #expect(refusal?.description.contains(text) == true, "\(String(describing: refusal))")
        #expect(try saved.restore(until: .time(16_000)).index == 16)
    }

    @Test func `it goes on where it ended and nowhere else`() throws {
        let saved = try SavedBackup()
        #expect(throws: BackupError.self) { try saved.addLog(18...20) }
        #expect(throws: BackupError.self) { try saved.addLog(16...20) }
        try saved.addLog(17...18)
        #expect(try BackupFolder(saved.disk, SavedBackup.path).verify() == [])
        #expect(try saved.restore(until: .committed).index == 18)
    }

    @Test func `two who add to it exclude each other`() throws {
        let saved = try SavedBackup()
        let lock = try saved.disk.lock(SavedBackup.path + "/log/LOCK")
        #expect(throws: BackupError.self) { try saved.addLog(17...18) }
        lock.release()
        try saved.addLog(17...18)
    }

    @Test func `a machine that stops at any moment leaves it as it was, or longer`() throws {
        let sizing = try SavedBackup()
        sizing.disk.resetCounters()
        try sizing.addLog(17...18)
        let steps = sizing.disk.operationCount
        #expect(steps > 8)
        for step in 1...steps {
            for survival in CrashSurvival.allCases {
                let saved = try SavedBackup(seed: UInt64(step))
                saved.disk.resetCounters()
                saved.disk.faults.crashAt = step
                // What it says of the crash is nobody's business; what is on the disk is.
                _ = try? saved.addLog(17...18)
                saved.disk.crash(survival)
                let folder = BackupFolder(saved.disk, SavedBackup.path)
                #expect(try folder.verify() == [], "step \(step), \(survival)")
                let last = try #require(try folder.logIndex()?.files.last?.last)
                #expect(last == 16 || last == 18)
                if last == 16 { try saved.addLog(17...18) }
                #expect(try saved.restore(until: .committed).index == 18, "step \(step), \(survival)")
            }
        }
    }
}
