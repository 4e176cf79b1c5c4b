import KVBase
import KVReplication
import Synchronization

@testable import KVStorage

/// A tablet in a dictionary.
///
/// What "is not in memory" is up to the test: `coldKeys` need the disk, and reading one from the disk does not make it
/// warm unless `warmsOnRead`.
final class MemoryRowStore: RowStore {
    struct State {
        var rows: [[UInt8]: [UInt8]] = [:]
        var mark = TabletMark()
        var coldKeys: Set<[UInt8]> = []
        var everyKeyIsCold = false
        var warmsOnRead = false
        var failure: StorageError?
        var writeFailure: StorageError?
        var writes = 0
        var diskReads = 0
        /// What is on the disk: a crash goes back to it.
        var flushed: (rows: [[UInt8]: [UInt8]], mark: TabletMark) = ([:], TabletMark())
    }

    let state = Mutex(State())

    var mark: TabletMark { state.withLock { $0.mark } }
    var rows: [[UInt8]: [UInt8]] { state.withLock { $0.rows } }

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    func withRow(
        _ key: UnsafeRawBufferPointer,
        memoryOnly: Bool,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(StorageError) -> RowPresence {
        let key = [UInt8](key)
        let result = state.withLock { state -> Result<(RowPresence, [UInt8]?), StorageError> in
            if let failure = state.failure { return .failure(failure) }
            if state.everyKeyIsCold || state.coldKeys.contains(key) {
                if memoryOnly { return .success((.needsDisk, nil)) }
                state.diskReads += 1
                if state.warmsOnRead { state.coldKeys.remove(key) }
            }
            guard let row = state.rows[key] else { return .success((.absent, nil)) }
            return .success((.found, row))
        }
        let (presence, row) = try result.get()
        row?.withUnsafeBytes { body($0) }
        return presence
    }

    func write(_ batch: borrowing WriteBatch, mark: TabletMark) throws(StorageError) {
        let bytes = batch.bytes
        let failure = state.withLock { state -> StorageError? in
            if let failure = state.writeFailure {
                state.writeFailure = nil
                return failure
            }
            var offset = 0
            bytes.withUnsafeBytes { buffer in
                var reader = ByteReader(buffer)
                while !reader.isAtEnd, let kind = try? reader.readByte(), let keyLength = try? reader.readVarint(),
                    let valueLength = try? reader.readVarint(), let key = try? reader.readBytes(Int(keyLength)),
                    let value = try? reader.readBytes(Int(valueLength))
                {
                    if kind == 2 {
                        let (start, end) = ([UInt8](key), [UInt8](value))
                        state.rows = state.rows.filter {
                            $0.key.lexicographicallyPrecedes(start) || !$0.key.lexicographicallyPrecedes(end)
                        }
                    } else {
                        state.rows[[UInt8](key)] = kind == 1 ? [UInt8](value) : nil
                    }
                    offset = reader.offset
                }
            }
            precondition(offset == bytes.count, "a batch that cannot be read")
            state.mark = mark
            state.writes += 1
            return nil
        }
        if let failure { throw failure }
    }

    func snapshot() -> [[UInt8]: [UInt8]] { rows }

    func makeCursor(at snapshot: [[UInt8]: [UInt8]]?) throws(StorageError) -> MemoryRowCursor {
        MemoryRowCursor(snapshot ?? rows)
    }

    /// Puts what is there on the disk.
    func flush() { state.withLock { $0.flushed = ($0.rows, $0.mark) } }

    /// A store as it is after a crash: what was flushed, exactly.
    func reopened() -> MemoryRowStore {
        let store = MemoryRowStore()
        let flushed = state.withLock { $0.flushed }
        store.change {
            $0.rows = flushed.rows
            $0.mark = flushed.mark
            $0.flushed = flushed
        }
        return store
    }
}

/// A cursor over a copy.
struct MemoryRowCursor: RowCursor {
    private let rows: [(key: [UInt8], value: [UInt8])]
    private var place = -1
    /// Where the views point: one allocation for the whole copy would move; a row's own array does not.
    private var held: (key: HeldBytes, value: HeldBytes)?

    init(_ rows: [[UInt8]: [UInt8]]) {
        self.rows = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }

    var isValid: Bool { rows.indices.contains(place) }
    var key: UnsafeRawBufferPointer { held?.key.view ?? UnsafeRawBufferPointer(start: nil, count: 0) }
    var value: UnsafeRawBufferPointer { held?.value.view ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    mutating func seek(to key: [UInt8]) {
        place = rows.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? rows.count
        hold()
    }
    mutating func seek(before key: [UInt8]) {
        place = rows.lastIndex { $0.key.lexicographicallyPrecedes(key) } ?? -1
        hold()
    }
    mutating func next() {
        place += 1
        hold()
    }
    mutating func previous() {
        place -= 1
        hold()
    }

    private mutating func hold() {
        held = isValid ? (HeldBytes(rows[place].key), HeldBytes(rows[place].value)) : nil
    }
}

/// Bytes that stay where they are while this lives.
private final class HeldBytes {
    let view: UnsafeRawBufferPointer
    init(_ bytes: [UInt8]) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        memory.copyBytes(from: bytes)
        view = UnsafeRawBufferPointer(memory)
    }
    deinit { view.deallocate() }
}
