package import KVBase

// Requests that hold others: made from those that stand at the batch's end.

extension RequestBatch {
    /// Adds a write into the middle of a value; what is missing before it becomes zeros.
    ///
    /// - Precondition: offset and length together are at most `Limits.valueBytesMax`, or every receiver refuses it.
    package mutating func setRange(
        _ key: UnsafeRawBufferPointer,
        at offset: UInt64,
        _ bytes: UnsafeRawBufferPointer,
        tag: UInt64
    ) {
        add(.setRange, key, tag: tag) {
            $0.append(varint: offset)
            $0.append(lengthPrefixed: bytes)
        }
    }

    /// Adds an addition to a decimal number with a fraction; an absent key counts as 0.
    ///
    /// - Precondition: `amount` is a `DecimalNumber`, or every receiver refuses it.
    package mutating func addDecimal(_ key: UnsafeRawBufferPointer, _ amount: UnsafeRawBufferPointer, tag: UInt64) {
        add(.addDecimal, key, tag: tag) { $0.append(lengthPrefixed: amount) }
    }

    /// Adds a move of a value, with its expiry, to another key.
    ///
    /// - Precondition: both keys have one slot, or every receiver refuses it.
    package mutating func rename(
        _ key: UnsafeRawBufferPointer,
        to destination: UnsafeRawBufferPointer,
        options: RenameOptions = [],
        tag: UInt64
    ) {
        add(.rename, key, tag: tag) {
            $0.append(options.rawValue)
            $0.append(lengthPrefixed: destination)
        }
    }

    /// Adds a condition of the transaction that is made next.
    package mutating func check(_ key: UnsafeRawBufferPointer, _ condition: Condition, tag: UInt64) {
        add(.check, key, tag: tag) { Self.append(condition, to: &$0) }
    }

    /// Adds the removal of all keys of the shard that has `slot`.
    package mutating func clear(_ slot: Slot, tag: UInt64) { addKeyless(.clear, slot, tag: tag) { _ in } }

    /// Adds the opening of a session in the shard that has `slot`.
    package mutating func openSession(_ session: UInt64, lifeMilliseconds: UInt64, _ slot: Slot, tag: UInt64) {
        addKeyless(.openSession, slot, tag: tag) {
            $0.append(littleEndian: session)
            $0.append(varint: lifeMilliseconds)
        }
    }

    /// Adds what keeps a session from expiring in the shard that has `slot`.
    package mutating func keepSession(_ session: UInt64, _ slot: Slot, tag: UInt64) {
        addKeyless(.keepSession, slot, tag: tag) { $0.append(littleEndian: session) }
    }

    /// Adds the end of a session in the shard that has `slot`.
    package mutating func endSession(_ session: UInt64, _ slot: Slot, tag: UInt64) {
        addKeyless(.endSession, slot, tag: tag) { $0.append(littleEndian: session) }
    }

    /// Makes one transaction of the requests from the item `first` on.
    ///
    /// - Returns: false, and nothing is changed, where their keys have different slots.
    /// - Precondition: there is such an item.
    package mutating func joinAsTransaction(from first: Int, flags: RequestFlags = [], tag: UInt64) -> Bool {
        precondition(first < items.count, "no item \(first) of \(items.count)")
        let slot = items[first].slot
        guard items[first...].allSatisfy({ $0.slot == slot }) else { return false }
        var body: [UInt8] = []
        body.reserveCapacity(bytes.count - Int(items[first].offset) + 3 * (items.count - first))
        bytes.withUnsafeBytes { bytes in
            for item in items[first...] {
                let start = Int(item.offset)
                body.append(
                    lengthPrefixed: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))])
                )
            }
        }
        removeItems(from: first)
        addKeyless(.transaction, slot, flags: flags, tag: tag) { $0.append(contentsOf: body) }
        return true
    }

    /// Makes the last request one of a session.
    ///
    /// - Precondition: it is a write of keys or a transaction.
    package mutating func putLastInSession(_ stamp: SessionStamp, tag: UInt64? = nil) {
        wrapLast(.inSession, tag: tag) {
            $0.append(littleEndian: stamp.session)
            $0.append(varint: stamp.sequence)
            $0.append(varint: stamp.lowestOutstanding)
        }
    }

    /// Makes the last request one that takes effect once for a token.
    ///
    /// - Precondition: it is a write of keys or a transaction; the token has 1 … `SessionLimits.tokenBytesMax` bytes.
    package mutating func doLastOnce(token: [UInt8], keepMilliseconds: UInt64, tag: UInt64? = nil) {
        wrapLast(.once, tag: tag) {
            $0.append(lengthPrefixed: token)
            $0.append(varint: keepMilliseconds)
        }
    }

    private mutating func wrapLast(_ operation: Operation, tag: UInt64?, _ header: (inout [UInt8]) -> Void) {
        guard let last = items.last else { preconditionFailure("nothing stands in the batch") }
        precondition(last.operation.mayBeOnce, "\(last.operation) cannot be in a session")
        let inner = Array(bytes[Int(last.offset)...])
        removeItems(from: items.count - 1)
        addKeyless(operation, last.slot, tag: tag ?? last.tag) {
            header(&$0)
            $0.append(contentsOf: inner)
        }
    }

    private mutating func addKeyless(
        _ operation: Operation,
        _ slot: Slot,
        flags: RequestFlags = [],
        tag: UInt64,
        _ fields: (inout [UInt8]) -> Void
    ) {
        add(operation, flags, .init(start: nil, count: 0), slot, tag: tag, fields)
    }

    private mutating func add(
        _ operation: Operation,
        _ key: UnsafeRawBufferPointer,
        tag: UInt64,
        _ fields: (inout [UInt8]) -> Void
    ) {
        add(operation, [], key, Slot(key: key), tag: tag, fields)
    }
}
