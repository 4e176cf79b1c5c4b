/// Builds the raw bytes of a block of sorted entries: keys share the prefix of the one before, and every
/// `restartInterval` entries one is written whole, so that a reader can search the restarts by halves.
///
/// Readers rely on the shared prefix being the longest there is (except at a restart, where it is 0): see
/// `BlockSearch`.
final class BlockBuilder {
    private let restartInterval: Int
    private let buffer: GrowBuffer
    private let lastKey = GrowBuffer(capacity: 256)
    private var restarts: [UInt32] = []
    private var sinceRestart = 0
    private(set) var entryCount = 0

    init(restartInterval: Int, capacity: Int) {
        self.restartInterval = restartInterval
        buffer = GrowBuffer(capacity: capacity)
    }

    var isEmpty: Bool { entryCount == 0 }

    /// The size of the block if it ended now.
    var rawSize: Int { buffer.count + (restarts.count + 1) * TableFormat.restartSize }

    /// Appends an entry.
    ///
    /// - Precondition: it is after the last one; `shared` is how many bytes its key has in common with the last
    ///   one's.
    @inline(__always)
    func add(_ key: ByteView, _ tag: UInt64, _ value: ByteView, shared: Int) {
        var shared = shared
        if entryCount == 0 || sinceRestart == restartInterval {
            restarts.append(UInt32(truncatingIfNeeded: buffer.count))
            sinceRestart = 0
            shared = 0
        }
        let unshared = key.count &- shared
        buffer.reserve(40 &+ unshared &+ value.count)
        buffer.append(varint: UInt64(truncatingIfNeeded: shared))
        buffer.append(varint: UInt64(truncatingIfNeeded: unshared))
        buffer.append(varint: UInt64(truncatingIfNeeded: value.count))
        buffer.append(varint: tag)
        buffer.append(ByteView(key.base + shared, unshared))
        buffer.append(value)
        lastKey.truncate(to: min(shared, lastKey.count))
        lastKey.append(ByteView(key.base + lastKey.count, key.count &- lastKey.count))
        entryCount &+= 1
        sinceRestart &+= 1
    }

    var last: ByteView { lastKey.view }

    /// Ends the block and returns its bytes, which are good until `reset`.
    func finish() -> ByteView {
        if restarts.isEmpty { restarts.append(0) }
        for restart in restarts { buffer.append(littleEndian: restart) }
        buffer.append(littleEndian: UInt32(truncatingIfNeeded: restarts.count))
        return buffer.view
    }

    func reset() {
        buffer.removeAll()
        restarts.removeAll(keepingCapacity: true)
        sinceRestart = 0
        entryCount = 0
    }
}
