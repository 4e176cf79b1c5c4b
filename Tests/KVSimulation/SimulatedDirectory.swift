import KVEnvironment

/// What a name stands for.
enum DiskNode {
    case file(FileNode)
    case directory(DirectoryNode)

    var identity: ObjectIdentifier {
        switch self {
        case .file(let node): ObjectIdentifier(node)
        case .directory(let node): ObjectIdentifier(node)
        }
    }
}

/// A change of names that is not on the disk yet: all its parts reach the disk, or none.
final class NameChange {
    struct Part {
        let directory: DirectoryNode
        let name: String
        let node: DiskNode?
    }

    let parts: [Part]

    init(_ parts: [Part]) {
        self.parts = parts
    }

    func applyToDisk() {
        for part in parts { part.directory.durable[part.name] = part.node }
    }
}

/// A directory: its names as processes see them, and as the disk holds them.
final class DirectoryNode {
    var entries: [String: DiskNode] = [:]
    var durable: [String: DiskNode] = [:]
    /// Changes that are not on the disk, in order.
    var pending: [NameChange] = []

    /// Makes the changes visible; they wait for a sync of each directory they touch.
    static func apply(_ change: NameChange) {
        var directories: [DirectoryNode] = []
        for part in change.parts {
            part.directory.entries[part.name] = part.node
            if !directories.contains(where: { $0 === part.directory }) { directories.append(part.directory) }
        }
        for directory in directories { directory.pending.append(change) }
    }

    /// Brings every change to the disk; where one spans two directories, the other's with it.
    func synchronize() {
        var others: [DirectoryNode] = []
        let changes = pending
        pending = []
        for change in changes {
            change.applyToDisk()
            for part in change.parts where part.directory !== self { others.append(part.directory) }
        }
        for other in others where !other.pending.isEmpty { other.synchronize() }
    }

    /// Every node below, each once, in a fixed order; `self` first.
    func walk(onDisk: Bool, _ visit: (DiskNode) -> Void) {
        visit(.directory(self))
        let names = onDisk ? durable : entries
        for name in names.keys.sorted() {
            guard let node = names[name] else { continue }
            if case .directory(let directory) = node { directory.walk(onDisk: onDisk, visit) } else { visit(node) }
        }
    }
}
