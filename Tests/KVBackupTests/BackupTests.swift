import KVBackup
import KVBase
import KVEnvironment
import KVSimulation
import Testing

@Suite struct `a backup` {
    @Test func `any byte that is turned over is found, by verify and by restore`() throws {
        let sizing = try SavedBackup()
        let files = sizing.disk.allFiles().filter {
            $0.contains("backups/first/data/") || $0.hasSuffix("manifest.json")
        }
        #expect(files.count > 6)
        for file in files {
            let size = try #require(sizing.disk.content(of: file)).count
            for place in stride(from: 0, to: size, by: max(1, size / 7)) {
                let saved = try SavedBackup()
                saved.disk.flipBit(place * 8 + 3, of: file)
                let findings = Result { try BackupFolder(saved.disk, SavedBackup.path).verify() }
                switch findings {
                case .success(let found): #expect(!found.isEmpty, "\(file) at \(place)")
                case .failure(let error): #expect(error is BackupError)
                }
                #expect(throws: BackupError.self, "\(file) at \(place)") { try saved.restore() }
                #expect(try saved.keys(in: "/new1") == nil)
            }
        }
    }

    @Test func `a file that is cut short or missing is found`() throws {
        let files = try SavedBackup().disk.allFiles().filter {
            $0.contains("backups/first/data/") || $0.hasSuffix("manifest.json")
        }
        for file in files {
            let saved = try SavedBackup()
            let content = try #require(saved.disk.content(of: file))
            saved.disk.setContent(Array(content.dropLast()), of: file)
            #expect(throws: BackupError.self) { try saved.restore() }
            try saved.disk.remove(file)
            #expect(throws: BackupError.self) { try saved.restore(2) }
        }
    }

    @Test func `the next one links what the one before has, and stands by itself`() throws {
        let saved = try SavedBackup()
        let folder = BackupFolder(saved.disk, SavedBackup.repository)
        let base = try #require(
            folder.newest(cluster: SavedBackup.cluster.description, node: "1", incarnation: "00000000000000aa")
        )
        let second = try saved.save("second", base: base, node: "/node")
        let tables = second.files.filter { $0.path.hasSuffix(".sst") }
        #expect(!tables.isEmpty && tables.allSatisfy(\.file.reused))
        try saved.disk.removeTree(SavedBackup.path)
        #expect(try BackupFolder(saved.disk, "/backups/second").verify() == [])
        #expect(try folder.list().map(\.name) == ["second"])
    }

    @Test func `a table that is damaged in the one before is fetched anew`() throws {
        let saved = try SavedBackup()
        let folder = BackupFolder(saved.disk, SavedBackup.repository)
        let base = try #require(
            folder.newest(cluster: SavedBackup.cluster.description, node: "1", incarnation: "00000000000000aa")
        )
        let table = try #require(base.1.files.first { $0.path.hasSuffix(".sst") })
        saved.disk.flipBit(100, of: SavedBackup.path + "/" + table.path)
        let second = try saved.save("second", base: base, node: "/node")
        #expect(second.files.first { $0.path == table.path }?.file.reused == false)
        #expect(try BackupFolder(saved.disk, "/backups/second").verify() == [])
    }

    @Test func `another life of the node shares nothing`() throws {
        let saved = try SavedBackup()
        let folder = BackupFolder(saved.disk, SavedBackup.repository)
        #expect(folder.newest(cluster: SavedBackup.cluster.description, node: "1", incarnation: "0b") == nil)
        #expect(
            folder.newest(cluster: SavedBackup.cluster.description, node: "2", incarnation: "00000000000000aa") == nil
        )
    }

    @Test func `one that was never completed is none`() throws {
        let saved = try SavedBackup()
        _ = try BackupWriter(saved.disk, repository: SavedBackup.repository, name: "third", base: nil)
        #expect(try BackupFolder(saved.disk, SavedBackup.repository).list().map(\.name) == ["first"])
        #expect(throws: BackupError.self) { try BackupFolder(saved.disk, "/backups/third.partial").manifest() }
    }

    @Test(arguments: ["..", "a/b", "", "x y", "CURRENT\n"])
    func `a name that could lead elsewhere is damage`(_ name: String) throws {
        let saved = try SavedBackup()
        var manifest = try BackupFolder(saved.disk, SavedBackup.path).manifest()
        manifest.groups[0].tablets[0].files[0].name = name
        let bytes = try manifest.encoded()
        #expect(throws: BackupError.self) { try BackupManifest(decoding: bytes, "m") }
    }

    @Test func `plans read as they were written and wrong ones are refused`() throws {
        #expect(try RestorePlan(parsing: "# note\n" + SavedBackup.plan.text) == SavedBackup.plan)
        let id = "cluster: 00000000000000070000000000000008\n"
        for text in [
            "", id, "format: 2\n" + id + "member.1: a:1 /x\n", "format: 1\nmember.1: a:1 /x\n", "format: 1\n" + id,
            "format: 1\n" + id + "member.0: a:1 /x\n", "format: 1\n" + id + "member.1: a:1\n",
            "format: 1\n" + id + "member.1: a:1 /x\nmember.2: b:1 /x\n",
            "format: 1\n" + id + "member.1: a:1 /x\nmember.1: b:1 /y\n", "format: 1\n" + id + "node: 1\n",
        ] {
            #expect(throws: BackupError.self, "\(text)") { try RestorePlan(parsing: text) }
        }
    }
}
