package import KVBase

/// One request, decoded: a view into its bytes.
///
/// SAFETY: key, value and suffix are views; whoever decodes keeps the bytes alive while using them.
package struct Request {
    /// The fields of the operation.
    package enum Body {
        case get
        case head
        case put(value: UnsafeRawBufferPointer, condition: Condition, expiry: Expiry)
        case delete(condition: Condition)
        case expire(Expiry, rule: ExpireRule)
        case increment(Int64)
        case append(UnsafeRawBufferPointer)
        case setRange(offset: UInt64, UnsafeRawBufferPointer)
        case addDecimal(UnsafeRawBufferPointer)
        case rename(to: UnsafeRawBufferPointer, RenameOptions)
        case check(Condition)
        case clear
        /// The requests, each with its length before it.
        case transaction(UnsafeRawBufferPointer)
        case inSession(SessionStamp, UnsafeRawBufferPointer)
        case once(token: UnsafeRawBufferPointer, keepMilliseconds: UInt64, UnsafeRawBufferPointer)
        case openSession(UInt64, lifeMilliseconds: UInt64)
        case keepSession(UInt64)
        case endSession(UInt64)
        /// Internal.
        case advanceTime
        /// Internal: remove if expired and of this version.
        case sweep(version: UInt64)
        /// Internal.
        case sweepRecord
    }

    /// Where bytes come from, which decides what is believed of them.
    package enum Origin: Sendable {
        /// An edge or a peer: internal operations are refused and the slot must be the key's.
        case submitted
        /// An entry of the log, whose checksum was verified and whose requests were checked when they were submitted.
        case logged
    }

    /// What it does.
    package let operation: Operation
    /// Its flags.
    package let flags: RequestFlags
    /// The slot that its maker computed from the key.
    package let slot: Slot
    /// The user's key.
    package let key: UnsafeRawBufferPointer
    /// The rest.
    package let body: Body

    /// Decodes all of `bytes`.
    /// - Throws: `truncated`, `badVarint`, or `invalid` for an unknown operation, flag, condition, expiry or rule, a slot that is
    ///   not the key's (not checked where `logged`), an internal operation (unless `logged`), a key or value over the hard
    ///   limits, or bytes left over.
    package init(_ bytes: UnsafeRawBufferPointer, from origin: Origin = .submitted) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let number = try reader.readByte()
        guard let operation = Operation(rawValue: number), origin == .logged || !operation.isInternal else {
            throw .invalid(offset: 0, what: "operation \(number)")
        }
        self.operation = operation
        flags = RequestFlags(rawValue: try reader.readByte())
        guard flags.isSubset(of: .known) else { throw .invalid(offset: 1, what: "flags \(flags.rawValue)") }
        let slot: UInt16 = try reader.readLittleEndian()
        key = try reader.readLengthPrefixed()
        guard key.count <= Limits.keyBytesMax else {
            throw .invalid(offset: 4, what: "a key of \(key.count) bytes, over \(Limits.keyBytesMax)")
        }
        // Several keys, or none: what is inside has the slot, or any slot of the shard will do.
        let isKeyless = operation.isCompound && operation.rawValue >= Operation.clear.rawValue
        guard slot < Slot.count, origin == .logged || (isKeyless ? key.isEmpty : Slot(key: key).rawValue == slot)
        else { throw .invalid(offset: 2, what: "slot \(slot)") }
        self.slot = Slot(rawValue: slot)
        switch operation {
        case .get: body = .get
        case .head: body = .head
        case .put:
            let condition = try Self.readCondition(&reader)
            let expiry = try Self.readExpiry(&reader)
            body = .put(value: try Self.readValue(&reader), condition: condition, expiry: expiry)
        case .delete: body = .delete(condition: try Self.readCondition(&reader))
        case .expire:
            let expiry = try Self.readExpiry(&reader)
            let number = try reader.readByte()
            guard let rule = ExpireRule(rawValue: number) else {
                throw .invalid(offset: reader.offset - 1, what: "expire rule \(number)")
            }
            body = .expire(expiry, rule: rule)
        case .increment: body = .increment(try reader.readLittleEndian())
        case .append: body = .append(try Self.readValue(&reader))
        case .advanceTime: body = .advanceTime
        case .sweep: body = .sweep(version: try reader.readVarint())
        default: body = try Self.readFurther(operation, &reader, self.slot, origin)
        }
        guard reader.isAtEnd else { throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes left over") }
    }

    static func readValue(_ reader: inout ByteReader) throws(DecodingError) -> UnsafeRawBufferPointer {
        let start = reader.offset
        let value = try reader.readLengthPrefixed()
        guard value.count <= Limits.valueBytesMax else {
            throw .invalid(offset: start, what: "a value of \(value.count) bytes, over \(Limits.valueBytesMax)")
        }
        return value
    }

    static func readCondition(_ reader: inout ByteReader) throws(DecodingError) -> Condition {
        let kind = try reader.readByte()
        switch kind {
        case 0: return .none
        case 1: return .absent
        case 2: return .present
        case 3: return .version(try reader.readVarint())
        default: throw .invalid(offset: reader.offset - 1, what: "condition \(kind)")
        }
    }

    private static func readExpiry(_ reader: inout ByteReader) throws(DecodingError) -> Expiry {
        let kind = try reader.readByte()
        switch kind {
        case 0: return .none
        case 1: return .keep
        case 2: return .after(milliseconds: try reader.readVarint())
        case 3: return .at(milliseconds: try reader.readVarint())
        default: throw .invalid(offset: reader.offset - 1, what: "expiry \(kind)")
        }
    }
}
