package import KVEnvironment

/// A disk in memory that loses what a real one may lose.
///
/// 1. Each file has the content that reads see and the content that the disk holds; a sync copies the sectors written since
///    the last one. Each directory has the same for its names.
/// 2. `crash` lets each pending sector survive, vanish or be torn, and each pending change of names survive or vanish, as the seed
///    says; handles and locks of before the crash are dead.
/// 3. `faults` makes operations fail: at a number, by chance, or for want of space. A failed sync leaves the pages
///    clean and the disk in doubt, as Linux does.
/// 4. Paths are taken apart at `/`; a leading `/` makes no difference.
///
/// It is stricter than any one real file system: directories of an unsynced parent vanish with it, and changes of names survive
/// independently of each other and of the files' content.
// SENDABLE: the simulator runs in one thread.
package final class SimulatedFileSystem: FileSystem, @unchecked Sendable {
    /// What goes wrong from now on.
    package var faults = DiskFaults()
    /// Called before each changing operation, with its number: tests count and look.
    package var observer: ((Int, FileError.Operation, String) -> Void)?
    /// How many changing operations were tried.
    package private(set) var operationCount = 0
    /// How many reads were tried.
    package private(set) var readCount = 0
    /// Whether the machine stands still since a crash that `faults.crashAt` asked for; `crash` starts it again.
    package private(set) var hasCrashed = false
    /// What happened so far.
    package private(set) var statistics = DiskStatistics()

    let randomness: SeededRandomness
    /// Grows with each crash; handles of an older life are dead.
    private(set) var life = 0
    private var root = DirectoryNode()
    private var locks: [String: SimulatedLock] = [:]

    /// An empty disk whose accidents this seed fixes.
    package init(seed: UInt64 = 0) {
        randomness = SeededRandomness(seed: seed)
    }

    // MARK: What tests do to the disk

    /// The machine stops and comes back: what was not synced survives as `survival` says, handles and locks are dead, and no
    /// fault is planned any more.
    package func crash(_ survival: CrashSurvival) {
        var settled: Set<ObjectIdentifier> = []
        statistics.crashes += 1
        settleNames(survival)
        // Only what the disk's names still reach matters.
        root.walk(onDisk: true) { node in
            guard case .file(let file) = node, settled.insert(ObjectIdentifier(file)).inserted else { return }
            file.settle(survival, randomness, &statistics)
        }
        life += 1
        locks = [:]
        hasCrashed = false
        faults.crashAt = nil
        faults.failAt = nil
        faults.failFrom = nil
        faults.failReadAt = nil
    }

    /// Counts operations from 1 again.
    package func resetCounters() {
        operationCount = 0
        readCount = 0
    }

    /// Flips one bit of a file, in memory and on the disk: damage at rest.
    /// - Precondition: the file exists and has that bit.
    package func flipBit(_ bit: Int, of path: String) {
        guard let node = try? fileNode(path, .open) else { preconditionFailure("\(path) is not a file") }
        let place = bit / 8
        precondition(place < node.content.count, "\(path) has no byte \(place)")
        node.content[place] ^= 1 << (bit % 8)
        if place < node.durable.count { node.durable[place] ^= 1 << (bit % 8) }
        statistics.bitsFlipped += 1
    }

    /// What reads of a file see; nil where it is absent.
    package func content(of path: String) -> [UInt8]? {
        (try? fileNode(path, .open))?.content
    }

    /// Makes a file with this content, durable at once, or replaces its content.
    package func setContent(_ bytes: [UInt8], of path: String) {
        let (parent, name) = makeParents(of: path)
        let node = FileNode()
        node.content = bytes
        node.durable = bytes
        parent.entries[name] = .file(node)
        parent.durable[name] = .file(node)
    }

    /// A copy of the disk as processes see it, all of it durable, with accidents of its own seed and no faults.
    package func copy(seed: UInt64 = 0) -> SimulatedFileSystem {
        let other = SimulatedFileSystem(seed: seed)
        var copies: [ObjectIdentifier: FileNode] = [:]
        func copyEntries(_ from: DirectoryNode, _ to: DirectoryNode) {
            for (name, node) in from.entries {
                switch node {
                case .file(let file):
                    let copied = copies[ObjectIdentifier(file)] ?? FileNode()
                    copied.content = file.content
                    copied.durable = file.content
                    copies[ObjectIdentifier(file)] = copied
                    to.entries[name] = .file(copied)
                case .directory(let directory):
                    let copied = DirectoryNode()
                    copyEntries(directory, copied)
                    to.entries[name] = .directory(copied)
                }
            }
            to.durable = to.entries
        }
        copyEntries(root, other.root)
        return other
    }

    /// Every file's path, sorted.
    package func allFiles() -> [String] {
        var paths: [String] = []
        func collect(_ directory: DirectoryNode, _ prefix: String) {
            for name in directory.entries.keys.sorted() {
                switch directory.entries[name] {
                case .file: paths.append(prefix + name)
                case .directory(let inner): collect(inner, prefix + name + "/")
                case nil: break
                }
            }
        }
        collect(root, "/")
        return paths
    }

    // MARK: FileSystem

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        switch mode {
        case .read, .readWrite:
            try checkRunning(.open, path)
            let node = try fileNode(path, .open)
            return SimulatedFile(path: path, node: node, disk: self, canWrite: mode == .readWrite)
        case .createNew:
            let (parent, name) = try parentAndName(path, .create)
            if parent.entries[name] != nil { throw FileError(.create, path: path, reason: .exists) }
            let node = FileNode()
            try change(.create, path) { () throws(FileError) in
                if room(for: 1) < 1 { throw FileError(.create, path: path, reason: .noSpace) }
                DirectoryNode.apply(NameChange([.init(directory: parent, name: name, node: .file(node))]))
            }
            return SimulatedFile(path: path, node: node, disk: self, canWrite: true)
        }
    }

    package func createDirectory(_ path: String) throws(FileError) {
        var directory = root
        for name in parts(of: path) {
            switch directory.entries[name] {
            case .directory(let inner): directory = inner
            case .file: throw FileError(.create, path: path, reason: .exists)
            case nil:
                let inner = DirectoryNode()
                let parent = directory
                try change(.create, path) { () throws(FileError) in
                    DirectoryNode.apply(NameChange([.init(directory: parent, name: name, node: .directory(inner))]))
                }
                directory = inner
            }
        }
    }

    package func synchronizeDirectory(_ path: String) throws(FileError) {
        let directory = try directoryNode(path, .synchronize)
        try beginChange(.synchronize, path)
        if try endsInCrash(.synchronize, path) { return }
        directory.synchronize()
        statistics.directorySyncs += 1
    }

    package func list(_ path: String) throws(FileError) -> [String] {
        try willRead(.list, path)
        return try directoryNode(path, .list).entries.keys.sorted()
    }

    package func exists(_ path: String) -> Bool {
        node(path) != nil
    }

    package func size(_ path: String) throws(FileError) -> UInt64 {
        try checkRunning(.size, path)
        return UInt64(try fileNode(path, .size).content.count)
    }

    package func rename(_ from: String, to: String) throws(FileError) {
        let (fromParent, fromName) = try parentAndName(from, .rename)
        let (toParent, toName) = try parentAndName(to, .rename)
        guard let node = fromParent.entries[fromName] else {
            throw FileError(.rename, path: from, reason: .notFound)
        }
        if case .directory(let existing) = toParent.entries[toName], !existing.entries.isEmpty {
            throw FileError(.rename, path: to, reason: .exists)
        }
        try change(.rename, from) { () throws(FileError) in
            DirectoryNode.apply(
                NameChange([
                    .init(directory: fromParent, name: fromName, node: nil),
                    .init(directory: toParent, name: toName, node: node),
                ])
            )
        }
    }

    package func remove(_ path: String) throws(FileError) {
        let (parent, name) = try parentAndName(path, .remove)
        guard case .file = parent.entries[name] else { throw FileError(.remove, path: path, reason: .notFound) }
        try change(.remove, path) { () throws(FileError) in
            DirectoryNode.apply(NameChange([.init(directory: parent, name: name, node: nil)]))
        }
    }

    package func removeTree(_ path: String) throws(FileError) {
        guard let node = node(path) else { return }
        guard case .directory(let directory) = node else { return try remove(path) }
        for name in directory.entries.keys.sorted() { try removeTree(path + "/" + name) }
        let (parent, name) = try parentAndName(path, .remove)
        try change(.remove, path) { () throws(FileError) in
            DirectoryNode.apply(NameChange([.init(directory: parent, name: name, node: nil)]))
        }
    }

    package func link(_ from: String, to: String) throws(FileError) {
        let file = try fileNode(from, .link)
        let (parent, name) = try parentAndName(to, .link)
        if parent.entries[name] != nil { throw FileError(.link, path: to, reason: .exists) }
        try change(.link, to) { () throws(FileError) in
            DirectoryNode.apply(NameChange([.init(directory: parent, name: name, node: .file(file))]))
        }
    }

    package func lock(_ path: String) throws(FileError) -> any FileLock {
        if node(path) == nil { try open(path, .createNew).close() }
        let key = parts(of: path).joined(separator: "/")
        if locks[key] != nil { throw FileError(.lock, path: path, reason: .locked) }
        let lock = SimulatedLock(disk: self, key: key)
        locks[key] = lock
        return lock
    }

    package func freeSpace(_ path: String) throws(FileError) -> UInt64 {
        guard faults.capacityBytes != nil else { return 1 << 40 }
        return UInt64(room(for: .max))
    }

    // MARK: For open files

    /// Runs a changing operation under the planned faults.
    func change(
        _ operation: FileError.Operation,
        _ path: String,
        _ body: () throws(FileError) -> Void
    ) throws(FileError) {
        try beginChange(operation, path)
        try body()
        _ = try endsInCrash(operation, path)
    }

    func synchronizeFile(_ node: FileNode, _ path: String) throws(FileError) {
        do {
            try beginChange(.synchronize, path)
        } catch {
            if !hasCrashed { node.failSynchronize(randomness) }
            throw error
        }
        if randomness.chance(faults.synchronizeErrorProbability) {
            statistics.errorsInjected += 1
            node.failSynchronize(randomness)
            throw FileError(.synchronize, path: path, reason: .inputOutput)
        }
        if try endsInCrash(.synchronize, path) { return }
        node.synchronize()
        statistics.fileSyncs += 1
    }

    func willRead(_ operation: FileError.Operation, _ path: String) throws(FileError) {
        try checkRunning(operation, path)
        readCount += 1
        guard readCount == faults.failReadAt else { return }
        statistics.errorsInjected += 1
        throw FileError(operation, path: path, reason: .inputOutput)
    }

    /// How many of `bytes` more bytes of content fit on the disk.
    func room(for bytes: Int) -> Int {
        guard let capacity = faults.capacityBytes else { return bytes }
        var used = 0
        var seen: Set<ObjectIdentifier> = []
        root.walk(onDisk: false) { node in
            if case .file(let file) = node, seen.insert(ObjectIdentifier(file)).inserted { used += file.bytesTaken }
        }
        return min(bytes, max(0, capacity - used))
    }

    func wrote(_ count: Int) {
        statistics.bytesWritten += count
    }

    fileprivate func release(_ lock: SimulatedLock) {
        if locks[lock.key] === lock { locks[lock.key] = nil }
    }

    // MARK: Faults

    private func checkRunning(_ operation: FileError.Operation, _ path: String) throws(FileError) {
        if hasCrashed { throw FileError(operation, path: path, reason: .inputOutput) }
    }

    private func beginChange(_ operation: FileError.Operation, _ path: String) throws(FileError) {
        try checkRunning(operation, path)
        operationCount += 1
        observer?(operationCount, operation, path)
        let isPlanned = operationCount == faults.failAt || operationCount >= faults.failFrom ?? .max
        guard isPlanned || randomness.chance(faults.errorProbability) else { return }
        statistics.errorsInjected += 1
        throw FileError(operation, path: path, reason: faults.reason)
    }

    private func endsInCrash(_ operation: FileError.Operation, _ path: String) throws(FileError) -> Bool {
        guard operationCount == faults.crashAt else { return false }
        hasCrashed = true
        throw FileError(operation, path: path, reason: .inputOutput)
    }

    private func settleNames(_ survival: CrashSurvival) {
        var decided: [ObjectIdentifier: Bool] = [:]
        root.walk(onDisk: false) { node in
            guard case .directory(let directory) = node else { return }
            for change in directory.pending where decided[ObjectIdentifier(change)] == nil {
                let isKept =
                    switch survival {
                    case .keepAll: true
                    case .loseAll: false
                    case .random: randomness.chance(0.5)
                    }
                decided[ObjectIdentifier(change)] = isKept
                if isKept { change.applyToDisk() } else { statistics.namesLost += 1 }
            }
        }
        func adopt(_ directory: DirectoryNode) {
            directory.entries = directory.durable
            directory.pending = []
            for node in directory.entries.values {
                if case .directory(let inner) = node { adopt(inner) }
            }
        }
        adopt(root)
    }

    // MARK: Paths

    private func parts(of path: String) -> [String] {
        path.split(separator: "/").filter { $0 != "." }.map(String.init)
    }

    private func node(_ path: String) -> DiskNode? {
        var node = DiskNode.directory(root)
        for name in parts(of: path) {
            guard case .directory(let directory) = node, let next = directory.entries[name] else { return nil }
            node = next
        }
        return node
    }

    private func fileNode(_ path: String, _ operation: FileError.Operation) throws(FileError) -> FileNode {
        guard case .file(let file) = node(path) else { throw FileError(operation, path: path, reason: .notFound) }
        return file
    }

    private func directoryNode(_ path: String, _ operation: FileError.Operation) throws(FileError) -> DirectoryNode {
        guard case .directory(let directory) = node(path) else {
            throw FileError(operation, path: path, reason: .notFound)
        }
        return directory
    }

    private func parentAndName(
        _ path: String,
        _ operation: FileError.Operation
    ) throws(FileError) -> (DirectoryNode, String) {
        let parts = parts(of: path)
        guard let name = parts.last else { throw FileError(operation, path: path, reason: .exists) }
        return (try directoryNode(parts.dropLast().joined(separator: "/"), operation), name)
    }

    private func makeParents(of path: String) -> (DirectoryNode, String) {
        let parts = parts(of: path)
        guard let name = parts.last else { preconditionFailure("\(path) names no file") }
        var directory = root
        for part in parts.dropLast() {
            if case .directory(let inner) = directory.entries[part] {
                directory = inner
            } else {
                let inner = DirectoryNode()
                directory.entries[part] = .directory(inner)
                directory.durable[part] = .directory(inner)
                directory = inner
            }
        }
        return (directory, name)
    }
}

/// A lock on a path of the simulated disk.
// SENDABLE: the simulator runs in one thread.
private final class SimulatedLock: FileLock, @unchecked Sendable {
    let key: String
    private weak var disk: SimulatedFileSystem?

    init(disk: SimulatedFileSystem, key: String) {
        self.disk = disk
        self.key = key
    }

    func release() { disk?.release(self) }
}
