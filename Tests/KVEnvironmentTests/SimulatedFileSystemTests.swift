import KVEnvironment
import KVSimulation
import Testing

/// What the simulated disk keeps and loses.
struct SimulatedFileSystemTests {
    let disk = SimulatedFileSystem(seed: 1)

    @Test func `unsynced bytes are gone after a crash that loses all`() throws {
        let file = try makeDurableFile("a/f", [1, 2, 3])
        try write([9, 9, 9, 9], to: file, at: 0)
        disk.crash(.loseAll)
        #expect(try disk.readAll("a/f") == [1, 2, 3])
    }

    @Test func `unsynced bytes are there after a crash that keeps all`() throws {
        let file = try makeDurableFile("a/f", [1, 2, 3])
        try write([9, 9, 9, 9], to: file, at: 0)
        disk.crash(.keepAll)
        #expect(try disk.readAll("a/f") == [9, 9, 9, 9])
    }

    @Test func `synced bytes survive every crash`() throws {
        for survival in CrashSurvival.allCases {
            let disk = SimulatedFileSystem(seed: 3)
            try disk.createDirectory("a")
            try disk.synchronizeDirectory("")
            let file = try disk.open("a/f", .createNew)
            try write(Array(repeating: 7, count: 3000), to: file, at: 0)
            try file.synchronize()
            try disk.synchronizeDirectory("a")
            disk.crash(survival)
            #expect(try disk.readAll("a/f") == Array(repeating: 7, count: 3000))
        }
    }

    @Test func `a random crash keeps some sectors, drops some and tears some`() throws {
        var states: Set<[UInt8]> = []
        for seed in 0..<40 {
            let disk = SimulatedFileSystem(seed: UInt64(seed))
            disk.setContent(Array(repeating: 1, count: 4096), of: "f")
            let file = try disk.open("f", .readWrite)
            try write(Array(repeating: 2, count: 4096), to: file, at: 0)
            disk.crash(.random)
            states.insert(try disk.readAll("f"))
        }
        #expect(states.count > 20)
        #expect(states.allSatisfy { $0.allSatisfy { $0 == 1 || $0 == 2 } })
    }

    @Test func `a new name is lost unless its directory was synced`() throws {
        try disk.createDirectory("a")
        try disk.synchronizeDirectory("")
        let file = try disk.open("a/f", .createNew)
        try write([1], to: file, at: 0)
        try file.synchronize()
        disk.crash(.loseAll)
        #expect(!disk.exists("a/f"))
        #expect(disk.exists("a"))
    }

    @Test func `a rename is whole or undone`() throws {
        for seed in 0..<20 {
            let disk = SimulatedFileSystem(seed: UInt64(seed))
            disk.setContent([1], of: "a/old")
            disk.setContent([2], of: "a/new")
            try disk.rename("a/new", to: "a/old")
            disk.crash(.random)
            let names = try disk.list("a")
            let content = try disk.readAll("a/old")
            #expect((names == ["old"] && content == [2]) || (names == ["new", "old"] && content == [1]))
        }
    }

    @Test func `a replaced file is the old one or the new one at every crash`() throws {
        let count = try operations { disk in try disk.replace("a/f", with: [4, 5, 6]) }
        for survival in CrashSurvival.allCases {
            for operation in 1...count {
                let disk = SimulatedFileSystem(seed: UInt64(operation))
                disk.setContent([1, 2], of: "a/f")
                disk.faults.crashAt = operation
                #expect(throws: FileError.self) { try disk.replace("a/f", with: [4, 5, 6]) }
                disk.crash(survival)
                let content = try disk.readAll("a/f")
                #expect(content == [1, 2] || content == [4, 5, 6])
            }
        }
    }

    @Test func `handles and locks of before a crash are dead`() throws {
        let file = try makeDurableFile("a/f", [1])
        let lock = try disk.lock("LOCK")
        #expect(throws: FileError(.lock, path: "LOCK", reason: .locked)) { try disk.lock("LOCK") }
        disk.crash(.keepAll)
        #expect(throws: FileError(.write, path: "a/f", reason: .inputOutput)) { try write([1], to: file, at: 0) }
        let second = try disk.lock("LOCK")
        lock.release()
        #expect(throws: FileError.self) { try disk.lock("LOCK") }
        second.release()
        #expect(throws: Never.self) { try disk.lock("LOCK") }
    }

    @Test func `a sync after a failed sync brings nothing to the disk`() throws {
        var lost = 0
        for seed in 0..<20 {
            let disk = SimulatedFileSystem(seed: UInt64(seed))
            disk.setContent([1], of: "f")
            let file = try disk.open("f", .readWrite)
            try write([2], to: file, at: 0)
            disk.faults.failAt = disk.operationCount + 1
            #expect(throws: FileError.self) { try file.synchronize() }
            try file.synchronize()
            disk.crash(.keepAll)
            if try disk.readAll("f") == [1] { lost += 1 }
        }
        #expect(lost > 0 && lost < 20)
    }

    @Test func `a full disk takes what fits and then says so`() throws {
        disk.setContent(Array(repeating: 0, count: 100), of: "f")
        disk.faults.capacityBytes = 150
        let file = try disk.open("f", .readWrite)
        #expect(throws: FileError(.write, path: "f", reason: .noSpace)) {
            try write(Array(repeating: 1, count: 100), to: file, at: 100)
        }
        #expect(try file.size() == 150)
        try write([1], to: file, at: 0)
        try disk.remove("f")
        #expect(try disk.freeSpace("") == 150)
    }

    @Test func `a hard link shares the content`() throws {
        let file = try makeDurableFile("a/f", [1])
        try disk.link("a/f", to: "a/g")
        try write([5], to: file, at: 0)
        try disk.remove("a/f")
        #expect(try disk.readAll("a/g") == [5])
    }

    @Test func `the same seed gives the same accidents`() throws {
        func run(_ seed: UInt64) throws -> [UInt8] {
            let disk = SimulatedFileSystem(seed: seed)
            disk.setContent(Array(repeating: 1, count: 8192), of: "f")
            let file = try disk.open("f", .readWrite)
            try write(Array(repeating: 2, count: 8000), to: file, at: 100)
            disk.crash(.random)
            return try disk.readAll("f")
        }
        #expect(try run(11) == run(11))
        #expect(try run(11) != run(12))
    }

    private func makeDurableFile(_ path: String, _ bytes: [UInt8]) throws -> any File {
        disk.setContent(bytes, of: path)
        return try disk.open(path, .readWrite)
    }

    private func operations(_ body: (SimulatedFileSystem) throws -> Void) throws -> Int {
        let disk = SimulatedFileSystem()
        disk.setContent([1, 2], of: "a/f")
        try body(disk)
        return disk.operationCount
    }
}

func write(_ bytes: [UInt8], to file: any File, at offset: UInt64) throws(FileError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
        try file.write(UnsafeRawBufferPointer(buffer), at: offset)
    }
}
