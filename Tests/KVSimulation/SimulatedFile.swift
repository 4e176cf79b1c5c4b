import KVEnvironment

/// How large a sector is, in bytes: what a disk writes as one; even that is torn here.
let sectorBytes = 512

/// The content of a file: as processes see it, and as the disk holds it.
final class FileNode {
    /// What reads return.
    var content: [UInt8] = []
    /// What is on the disk for sure.
    var durable: [UInt8] = []
    /// For how many bytes from the start there is room for sure; lost in a crash.
    var reserved = 0
    /// How many bytes of the disk it takes.
    var bytesTaken: Int { max(content.count, reserved) }
    /// Sectors of `content` that may differ from the disk and that the next sync writes.
    var pendingSectors: Set<Int> = []
    /// Whether the size differs from the disk's and the next sync writes it.
    var hasPendingSize = false

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard !bytes.isEmpty else { return }
        let end = offset + bytes.count
        if end > content.count {
            markPending(from: content.count, to: end)
            content.append(contentsOf: [UInt8](repeating: 0, count: end - content.count))
            hasPendingSize = true
        }
        content.withUnsafeMutableBytes {
            UnsafeMutableRawBufferPointer(rebasing: $0[offset..<end]).copyMemory(from: bytes)
        }
        markPending(from: offset, to: end)
    }

    func truncate(to size: Int) {
        reserved = 0
        guard size != content.count else { return }
        // Whatever was there reads as zeros if the file grows again: the disk has to learn that too.
        markPending(from: min(size, content.count), to: max(size, content.count))
        if size < content.count {
            content.removeLast(content.count - size)
        } else {
            content.append(contentsOf: [UInt8](repeating: 0, count: size - content.count))
        }
        hasPendingSize = true
    }

    func synchronize() {
        resizeDurable(to: content.count)
        for sector in pendingSectors { copySector(sector, prefix: sectorBytes) }
        pendingSectors = []
        hasPendingSize = false
    }

    /// A sync that failed: the system calls every page clean, but what reached the disk is chance.
    func failSynchronize(_ randomness: SeededRandomness) {
        if hasPendingSize && randomness.chance(0.5) { resizeDurable(to: content.count) }
        for sector in pendingSectors.sorted() where randomness.chance(0.5) { copySector(sector, prefix: sectorBytes) }
        pendingSectors = []
        hasPendingSize = false
    }

    /// Makes the disk's state after a crash the file's state.
    func settle(_ survival: CrashSurvival, _ randomness: SeededRandomness, _ statistics: inout DiskStatistics) {
        switch survival {
        case .keepAll: synchronize()
        case .loseAll: statistics.sectorsDropped += pendingSectors.count
        case .random: settleRandomly(randomness, &statistics)
        }
        content = durable
        reserved = 0
        pendingSectors = []
        hasPendingSize = false
    }

    private func settleRandomly(_ randomness: SeededRandomness, _ statistics: inout DiskStatistics) {
        if hasPendingSize {
            let low = min(durable.count, content.count)
            let high = max(durable.count, content.count)
            switch randomness.below(3) {
            case 0: break
            case 1: resizeDurable(to: content.count)
            default:
                let sectors = (high - low) / sectorBytes
                resizeDurable(to: min(high, low + (sectors > 0 ? randomness.below(sectors + 1) * sectorBytes : 0)))
            }
        }
        // A whole crash leans one way or the other, or most crashes would look alike.
        let keep = [0.1, 0.5, 0.9][randomness.below(3)]
        for sector in pendingSectors.sorted() {
            if randomness.chance(keep) {
                copySector(sector, prefix: sectorBytes)
            } else if randomness.chance(0.1) {
                statistics.sectorsTorn += 1
                copySector(sector, prefix: 1 + randomness.below(sectorBytes - 1))
            } else {
                statistics.sectorsDropped += 1
            }
        }
    }

    private func resizeDurable(to size: Int) {
        if size < durable.count {
            durable.removeLast(durable.count - size)
        } else {
            durable.append(contentsOf: [UInt8](repeating: 0, count: size - durable.count))
        }
    }

    private func copySector(_ sector: Int, prefix: Int) {
        let start = sector * sectorBytes
        let end = min(start + prefix, durable.count)
        guard start < end else { return }
        let shared = max(start, min(end, content.count))
        durable.withUnsafeMutableBytes { durable in
            content.withUnsafeBytes { content in
                // A sector beyond the shortened content has nothing to copy.
                guard start < shared else { return }
                UnsafeMutableRawBufferPointer(rebasing: durable[start..<shared])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: content[start..<shared]))
            }
            UnsafeMutableRawBufferPointer(rebasing: durable[shared..<end]).initializeMemory(
                as: UInt8.self,
                repeating: 0
            )
        }
    }

    private func markPending(from start: Int, to end: Int) {
        guard start < end else { return }
        for sector in (start / sectorBytes)...((end - 1) / sectorBytes) { pendingSectors.insert(sector) }
    }
}

/// An open file of the simulated disk; it fails after a crash.
// SENDABLE: the simulator runs in one thread.
final class SimulatedFile: File, @unchecked Sendable {
    let path: String
    let node: FileNode
    private let disk: SimulatedFileSystem
    private let canWrite: Bool
    /// Which life of the disk it belongs to.
    private let life: Int
    private var isClosed = false

    init(path: String, node: FileNode, disk: SimulatedFileSystem, canWrite: Bool) {
        self.path = path
        self.node = node
        self.disk = disk
        self.canWrite = canWrite
        life = disk.life
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError) -> Int {
        try checkUsable(.read)
        try disk.willRead(.read, path)
        guard offset < UInt64(node.content.count) else { return 0 }
        let start = Int(offset)
        var count = min(buffer.count, node.content.count - start)
        if count > 1, disk.randomness.chance(disk.faults.shortReadProbability) {
            count = 1 + disk.randomness.below(count - 1)
        }
        node.content.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)]))
        }
        return count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) {
        try checkUsable(.write)
        let start = Int(offset)
        try disk.change(.write, path) { () throws(FileError) in
            let growth = max(0, start + bytes.count - node.bytesTaken)
            let room = disk.room(for: growth)
            if room < growth {
                // As the system does: what fits is written, and then there is no more.
                let fitting = max(0, bytes.count - (growth - room))
                node.write(UnsafeRawBufferPointer(rebasing: bytes[..<fitting]), at: start)
                throw FileError(.write, path: path, reason: .noSpace)
            }
            node.write(bytes, at: start)
            disk.wrote(bytes.count)
        }
    }

    func synchronize() throws(FileError) {
        try checkUsable(.synchronize)
        try disk.synchronizeFile(node, path)
    }

    func size() throws(FileError) -> UInt64 {
        try checkUsable(.size)
        return UInt64(node.content.count)
    }

    func truncate(to size: UInt64) throws(FileError) {
        try checkUsable(.truncate)
        try disk.change(.truncate, path) { () throws(FileError) in node.truncate(to: Int(size)) }
    }

    func reserve(_ bytes: UInt64) throws(FileError) {
        try checkUsable(.space)
        let growth = Int(bytes) - node.bytesTaken
        guard growth > 0 else { return }
        guard disk.room(for: growth) == growth else { throw FileError(.space, path: path, reason: .noSpace) }
        node.reserved = Int(bytes)
    }

    func close() {
        isClosed = true
    }

    private func checkUsable(_ operation: FileError.Operation) throws(FileError) {
        guard !isClosed else { throw FileError(operation, path: path, reason: .other(9)) }
        guard life == disk.life else { throw FileError(operation, path: path, reason: .inputOutput) }
        let needsWrite = operation == .write || operation == .truncate
        precondition(canWrite || !needsWrite, "\(path) is open for reading only")
    }
}
