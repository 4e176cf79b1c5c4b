import KVBase

/// Mutations that take effect together, staged in one buffer in the order given; each takes a sequence of its own, so
/// that a later one of the same key wins.
///
/// Reuse one batch: `removeAll` keeps the memory.
///
/// The staged bytes are what a tablet's own log stores: `u8 kind · varint key length · varint value length · key ·
/// value`.
package struct WriteBatch: Sendable {
    /// The staged operations.
    private(set) var bytes: [UInt8] = []
    /// How many operations are staged.
    package private(set) var count = 0
    /// How many bytes the keys and values of point operations take.
    private(set) var payloadBytes = 0

    /// The longest stored key: the longest user key and what its owner puts before it.
    package static let keyBytesMax = Limits.keyBytesMax + 1024

    /// An empty batch.
    package init() {}

    /// A batch whose operations are `bytes`, found in a log.
    ///
    /// - Throws: where they are not whole operations.
    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let at = reader.offset
            let kind = try reader.readByte()
            guard kind <= EntryKind.deleteRange else { throw .invalid(offset: at, what: "operation kind \(kind)") }
            let keyLength = try reader.readVarint()
            let valueLength = try reader.readVarint()
            guard keyLength <= UInt64(Self.keyBytesMax), keyLength <= UInt64(reader.remaining),
                valueLength <= UInt64(reader.remaining)
            else {
                throw .truncated(offset: at)
            }
            let key = try reader.readBytes(Int(keyLength))
            let value = try reader.readBytes(Int(valueLength))
            add(kind, key, value)
        }
    }

    /// Sets a key.
    package mutating func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        add(EntryKind.put, key, value)
    }

    /// Removes a key; nothing happens where it is absent.
    package mutating func delete(_ key: UnsafeRawBufferPointer) {
        add(EntryKind.delete, key, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Removes every key in `start ..< end`.
    package mutating func deleteRange(_ start: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer) {
        add(EntryKind.deleteRange, start, end)
    }

    /// Sets a key whose parts, and its value's, lie apart: they are put together here and nowhere before.
    ///
    /// - Parameters:
    ///   - keyPrefix: The key's first byte.
    ///   - key: The rest of it.
    ///   - header: The value's first bytes.
    ///   - first: What follows them.
    ///   - second: What follows that.
    package mutating func put(
        _ keyPrefix: UInt8,
        _ key: UnsafeRawBufferPointer,
        _ header: UnsafeRawBufferPointer,
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer
    ) {
        begin(EntryKind.put, keyPrefix, key, valueCount: header.count + first.count + second.count)
        bytes.append(contentsOf: header)
        bytes.append(contentsOf: first)
        if !second.isEmpty { bytes.append(contentsOf: second) }
    }

    /// Removes a key whose first byte lies apart.
    package mutating func delete(_ keyPrefix: UInt8, _ key: UnsafeRawBufferPointer) {
        begin(EntryKind.delete, keyPrefix, key, valueCount: 0)
    }

    /// Shows the last `count` bytes staged: of a put the value, before that the key.
    ///
    /// - Precondition: So many bytes are staged.
    package borrowing func withLast(_ count: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[($0.count - count)...])) }
    }

    /// Sets a key.
    package mutating func put(_ key: [UInt8], _ value: [UInt8]) {
        key.withUnsafeBytes { key in value.withUnsafeBytes { put(key, $0) } }
    }

    /// Removes a key.
    package mutating func delete(_ key: [UInt8]) {
        key.withUnsafeBytes { delete($0) }
    }

    /// Removes every key in `start ..< end`.
    package mutating func deleteRange(_ start: [UInt8], _ end: [UInt8]) {
        start.withUnsafeBytes { start in end.withUnsafeBytes { deleteRange(start, $0) } }
    }

    /// Forgets the operations, keeps the memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        count = 0
        payloadBytes = 0
    }

    /// How much was staged at some moment, to go back to.
    package struct Mark: Sendable {
        fileprivate let byteCount: Int
        fileprivate let count: Int
        fileprivate let payloadBytes: Int
    }

    /// How much is staged now.
    package var mark: Mark { Mark(byteCount: bytes.count, count: count, payloadBytes: payloadBytes) }

    /// Takes off what was staged since `mark`.
    ///
    /// - Precondition: the mark is of this batch, which was not emptied since.
    package mutating func rollBack(to mark: Mark) {
        precondition(mark.byteCount <= bytes.count, "a mark at \(mark.byteCount) of \(bytes.count) bytes")
        bytes.removeLast(bytes.count - mark.byteCount)
        count = mark.count
        payloadBytes = mark.payloadBytes
    }

    /// Whether nothing is staged.
    package var isEmpty: Bool { count == 0 }

    /// How many bytes are staged; at most `Limits.batchBytesMax` are taken.
    package var byteCount: Int { bytes.count }

    /// Stages an operation but for its value, which must follow at once.
    private mutating func begin(
        _ kind: UInt8,
        _ keyPrefix: UInt8,
        _ key: UnsafeRawBufferPointer,
        valueCount: Int
    ) {
        let keyCount = key.count + 1
        precondition(keyCount <= Self.keyBytesMax, "key of \(keyCount) bytes, at most \(Self.keyBytesMax) are taken")
        bytes.append(kind)
        bytes.append(varint: UInt64(keyCount))
        bytes.append(varint: UInt64(valueCount))
        bytes.append(keyPrefix)
        bytes.append(contentsOf: key)
        count += 1
        payloadBytes += keyCount + valueCount
    }

    private mutating func add(_ kind: UInt8, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        precondition(key.count <= Self.keyBytesMax, "key of \(key.count) bytes, at most \(Self.keyBytesMax) are taken")
        bytes.append(kind)
        bytes.append(varint: UInt64(key.count))
        bytes.append(varint: UInt64(value.count))
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: value)
        count += 1
        payloadBytes += key.count + value.count
    }
}

/// Walks the operations of a batch without copying.
///
/// SAFETY: the bytes were staged by `WriteBatch`, so the lengths are right; the batch is borrowed while this is used.
struct WriteBatchCursor {
    private let base: UnsafeRawPointer
    private let end: Int
    private var position = 0

    init(_ bytes: ByteView) {
        base = bytes.base
        end = bytes.count
    }

    @inline(__always)
    mutating func next(_ body: (UInt8, ByteView, ByteView) -> Void) -> Bool {
        guard position < end else { return false }
        let kind = base.load(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        let keyLength = Int(truncatingIfNeeded: readVarint(base, &position, end))
        let valueLength = Int(truncatingIfNeeded: readVarint(base, &position, end))
        precondition(position &+ keyLength &+ valueLength <= end, "batch torn at \(position)")
        body(kind, ByteView(base + position, keyLength), ByteView(base + (position &+ keyLength), valueLength))
        position &+= keyLength &+ valueLength
        return true
    }
}

/// Reads a varint at `position`, never past `limit`: where it is cut or too long, `position` ends past `limit`.
@inline(__always)
func readVarint(_ base: UnsafeRawPointer, _ position: inout Int, _ limit: Int) -> UInt64 {
    guard position < limit else {
        position = limit &+ 1
        return 0
    }
    let first = base.load(fromByteOffset: position, as: UInt8.self)
    position &+= 1
    if first < 0x80 { return UInt64(first) }
    var result = UInt64(first & 0x7f)
    var shift: UInt64 = 7
    while position < limit, shift < 64 {
        let byte = base.load(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        result |= UInt64(byte & 0x7f) &<< shift
        if byte < 0x80 { return result }
        shift &+= 7
    }
    position = limit &+ 1
    return 0
}
