import KVBase

/// The operations of a batch where they lie: a view that whoever staged them keeps alive.
///
/// SAFETY: `bytes` holds whole operations, as `WriteBatch` or `init(validating:)` saw to; the holder of the memory
/// waits until the view is no longer used.
struct StagedBatch {
    let bytes: ByteView
    /// How many operations there are.
    let count: Int
    /// How many bytes keys and values take.
    let payloadBytes: Int

    /// A batch in memory.
    init(_ bytes: ByteView, count: Int, payloadBytes: Int) {
        self.bytes = bytes
        self.count = count
        self.payloadBytes = payloadBytes
    }

    /// Operations found in a log.
    ///
    /// - Throws: where they are not whole operations.
    init(validating bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        var count = 0
        var payloadBytes = 0
        while !reader.isAtEnd {
            let at = reader.offset
            let kind = try reader.readByte()
            guard kind <= EntryKind.deleteRange else { throw .invalid(offset: at, what: "operation kind \(kind)") }
            let keyLength = try reader.readVarint()
            let valueLength = try reader.readVarint()
            guard keyLength <= UInt64(WriteBatch.keyBytesMax), keyLength <= UInt64(reader.remaining),
                valueLength <= UInt64(reader.remaining) - keyLength
            else {
                throw .truncated(offset: at)
            }
            _ = try reader.readBytes(Int(keyLength + valueLength))
            count += 1
            payloadBytes += Int(keyLength + valueLength)
        }
        self.init(ByteView(bytes), count: count, payloadBytes: payloadBytes)
    }

    /// How many bytes the operations take.
    var byteCount: Int { bytes.count }
    /// Whether there are none.
    var isEmpty: Bool { count == 0 }
    /// The room that they may take in a memtable.
    var memtableBytes: Int { Memtable.worstCase(entries: count, bytes: payloadBytes) }
}

extension WriteBatch {
    /// Shows the staged operations.
    borrowing func withStaged<R, E: Error>(_ body: (StagedBatch) throws(E) -> R) throws(E) -> R {
        let (count, payloadBytes) = (count, payloadBytes)
        return try bytes.withUnsafeBufferPointer { (buffer) throws(E) -> R in
            try body(
                StagedBatch(ByteView(UnsafeRawBufferPointer(buffer)), count: count, payloadBytes: payloadBytes)
            )
        }
    }
}
