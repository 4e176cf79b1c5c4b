package import KVBase

/// How fresh a read must be.
package enum Consistency: UInt8, Sendable {
    /// Sees every write that was acknowledged before it began.
    case linearizable = 0
    /// The same, by the leader's lease instead of a round where leases are on.
    case lease = 1
    /// Whatever this very node has applied.
    case stale = 2
}

/// Requests on their way in: their bytes in one buffer, reused by whoever fills it.
///
/// A connection keeps one batch, fills it with what a read from the socket brought, submits it and empties it.
package struct RequestBatch: Sendable {
    /// Where one request stands and how it is to be treated.
    package struct Item: Sendable {
        /// Where its bytes start in `bytes`.
        package var offset: UInt32
        /// How many bytes it has.
        package var length: UInt32
        /// Whom the reply belongs to; the caller's own number.
        package var tag: UInt64
        /// The key's slot.
        package var slot: Slot
        /// What it does.
        package var operation: Operation
        /// How fresh a read must be; writes ignore it.
        package var consistency: Consistency
        /// Whether it must stand in the same log entry as the one before (MSET): all take effect at once or none.
        package var joinsPrevious: Bool
        /// Whether a node that does not lead the shard is to say who does instead of sending the request on.
        package var redirects = false
    }

    /// Whether any of them joins the one before.
    package private(set) var joins = false

    /// What `redirects` is in the items that are added.
    package var redirects = false

    /// The requests' bytes, one after the other, in the form of RequestFormat.
    package private(set) var bytes: [UInt8] = []
    /// The requests in the order they came.
    package private(set) var items: [Item] = []

    /// A batch of nothing.
    package init() {}

    /// Empties the batch; memory up to `capacityBytesMax` is kept for the next.
    package mutating func removeAll(keepingAtMost capacityBytesMax: Int = 1 << 20) {
        bytes.removeAll(keepingCapacity: bytes.capacity <= capacityBytesMax)
        items.removeAll(keepingCapacity: items.capacity <= capacityBytesMax / 64)
        joins = false
    }

    /// Adds a read of value, version and expiry.
    package mutating func get(_ key: UnsafeRawBufferPointer, tag: UInt64, consistency: Consistency = .linearizable) {
        begin(.get, [], key, tag, consistency)
        end()
    }

    /// Adds a read of length, version and expiry.
    package mutating func head(_ key: UnsafeRawBufferPointer, tag: UInt64, consistency: Consistency = .linearizable) {
        begin(.head, [], key, tag, consistency)
        end()
    }

    /// Adds a write of a value.
    package mutating func put(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        tag: UInt64,
        condition: Condition = .none,
        expiry: Expiry = .none,
        flags: RequestFlags = [],
        joinsPrevious: Bool = false
    ) {
        begin(.put, flags, key, tag, .linearizable, joinsPrevious: joinsPrevious)
        append(condition)
        append(expiry)
        bytes.append(lengthPrefixed: value)
        end()
    }

    /// Adds a removal.
    package mutating func delete(
        _ key: UnsafeRawBufferPointer,
        tag: UInt64,
        condition: Condition = .none,
        flags: RequestFlags = [],
        joinsPrevious: Bool = false
    ) {
        begin(.delete, flags, key, tag, .linearizable, joinsPrevious: joinsPrevious)
        append(condition)
        end()
    }

    /// Adds a change of expiry; `.none` makes the key stay for ever, `.keep` is refused at apply.
    package mutating func expire(
        _ key: UnsafeRawBufferPointer,
        _ expiry: Expiry,
        rule: ExpireRule = .always,
        flags: RequestFlags = [],
        tag: UInt64
    ) {
        begin(.expire, flags, key, tag, .linearizable)
        append(expiry)
        bytes.append(rule.rawValue)
        end()
    }

    /// Adds an addition to a decimal number; an absent key counts as 0.
    package mutating func increment(_ key: UnsafeRawBufferPointer, by amount: Int64, tag: UInt64) {
        begin(.increment, [], key, tag, .linearizable)
        bytes.append(littleEndian: amount)
        end()
    }

    /// Adds an addition of bytes at the end; an absent key counts as empty.
    package mutating func append(_ key: UnsafeRawBufferPointer, _ suffix: UnsafeRawBufferPointer, tag: UInt64) {
        begin(.append, [], key, tag, .linearizable)
        bytes.append(lengthPrefixed: suffix)
        end()
    }

    /// Adds a request of another batch as it stands there, under another tag.
    package mutating func append(_ request: UnsafeRawBufferPointer, like item: Item, tag: UInt64, joinsPrevious: Bool) {
        var copy = item
        copy.offset = UInt32(bytes.count)
        copy.length = UInt32(request.count)
        copy.tag = tag
        copy.joinsPrevious = joinsPrevious
        if joinsPrevious { joins = true }
        bytes.append(contentsOf: request)
        items.append(copy)
    }

    /// Adds a request that another node encoded.
    /// - Throws: what `Request` throws where the bytes are no request.
    package mutating func append(
        encoded request: UnsafeRawBufferPointer,
        tag: UInt64,
        consistency: Consistency,
        joinsPrevious: Bool
    ) throws(DecodingError) {
        let decoded = try Request(request)
        let item = Item(
            offset: UInt32(bytes.count),
            length: UInt32(request.count),
            tag: tag,
            slot: decoded.slot,
            operation: decoded.operation,
            consistency: consistency,
            joinsPrevious: joinsPrevious
        )
        bytes.append(contentsOf: request)
        items.append(item)
        if joinsPrevious { joins = true }
    }

    private mutating func begin(
        _ operation: Operation,
        _ flags: RequestFlags,
        _ key: UnsafeRawBufferPointer,
        _ tag: UInt64,
        _ consistency: Consistency,
        joinsPrevious: Bool = false
    ) {
        let slot = Slot(key: key)
        if joinsPrevious { joins = true }
        items.append(
            Item(
                offset: UInt32(bytes.count),
                length: 0,
                tag: tag,
                slot: slot,
                operation: operation,
                consistency: consistency,
                joinsPrevious: joinsPrevious,
                redirects: redirects
            )
        )
        bytes.append(operation.rawValue)
        bytes.append(flags.rawValue)
        bytes.append(littleEndian: slot.rawValue)
        bytes.append(lengthPrefixed: key)
    }

    private mutating func end() {
        let last = items.count - 1
        items[last].length = UInt32(bytes.count) - items[last].offset
    }

    /// Adds a request of fields that `fields` writes.
    mutating func add(
        _ operation: Operation,
        _ flags: RequestFlags,
        _ key: UnsafeRawBufferPointer,
        _ slot: Slot,
        tag: UInt64,
        _ fields: (inout [UInt8]) -> Void
    ) {
        begin(operation, flags, key, tag, .linearizable)
        let last = items.count - 1
        if items[last].slot != slot {
            items[last].slot = slot
            let place = Int(items[last].offset) + 2
            bytes[place] = UInt8(truncatingIfNeeded: slot.rawValue)
            bytes[place + 1] = UInt8(truncatingIfNeeded: slot.rawValue >> 8)
        }
        fields(&bytes)
        end()
    }

    /// Takes the items from `first` on off.
    package mutating func removeItems(from first: Int) {
        guard first < items.count else { return }
        bytes.removeLast(bytes.count - Int(items[first].offset))
        items.removeLast(items.count - first)
    }

    private mutating func append(_ condition: Condition) { Self.append(condition, to: &bytes) }

    static func append(_ condition: Condition, to bytes: inout [UInt8]) {
        switch condition {
        case .none: bytes.append(0)
        case .absent: bytes.append(1)
        case .present: bytes.append(2)
        case .version(let version):
            bytes.append(3)
            bytes.append(varint: version)
        }
    }

    private mutating func append(_ expiry: Expiry) {
        switch expiry {
        case .none: bytes.append(0)
        case .keep: bytes.append(1)
        case .after(let milliseconds):
            bytes.append(2)
            bytes.append(varint: milliseconds)
        case .at(let milliseconds):
            bytes.append(3)
            bytes.append(varint: milliseconds)
        }
    }
}
