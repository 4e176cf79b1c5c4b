import Synchronization

/// What a read needs to hold: memtables newest first, and a version.
///
/// Immutable; while somebody holds it, nothing in it is freed or removed.
final class ReadView: Sendable {
    let memtables: [Memtable]
    let version: Version

    init(memtables: [Memtable], version: Version) {
        self.memtables = memtables
        self.version = version
    }
}

/// A moment of a tablet that reads can go back to while this object lives.
///
/// Flush and compaction keep what it sees. Any thread may use it.
package final class Snapshot: Sendable {
    /// The last sequence that it sees.
    package let sequence: UInt64
    private let registry: SnapshotRegistry

    init(sequence: UInt64, registry: SnapshotRegistry) {
        self.sequence = sequence
        self.registry = registry
    }

    deinit { registry.remove(sequence) }
}

/// The sequences that live snapshots are at.
///
/// Any thread.
final class SnapshotRegistry: Sendable {
    private let counts = Mutex<[UInt64: Int]>([:])

    /// A snapshot at the sequence that `current` gives: read under the same lock that `sequences` takes, so that a
    /// rewrite that did not see the snapshot started before the sequence was read.
    func make(_ current: () -> UInt64) -> Snapshot {
        counts.withLock { counts in
            let sequence = current()
            counts[sequence, default: 0] += 1
            return Snapshot(sequence: sequence, registry: self)
        }
    }

    func remove(_ sequence: UInt64) {
        counts.withLock { counts in
            guard let count = counts[sequence] else { return }
            counts[sequence] = count > 1 ? count - 1 : nil
        }
    }

    /// The oldest; nil where there is none.
    var oldest: UInt64? { counts.withLock { $0.keys.min() } }

    /// Rising, each once.
    var sequences: [UInt64] { counts.withLock { $0.keys.sorted() } }
}

/// What a look-up found.
///
/// The bytes are good only inside the closure they are given to.
package enum GetResult {
    /// The key's value, a view over pinned memory.
    case found(UnsafeRawBufferPointer)
    /// The key is absent.
    case absent
    /// Memory does not tell: run it again on a worker, where it may read the disk.
    case needsDisk
}
