package import KVBase
package import KVStorage

// What a tablet's rows look like. docs/formats/tablet-rows.md
//
//   key     0x01 · user key                              a user's row
//           0x00 · name                                  a row of the system's own
//           0x00 · 's' · u64 session                     a session (big-endian, SessionRecord)
//           0x00 · 'r' · u64 session · u64 sequence      the result of a request in a session (ReplyFormat)
//           0x00 · 't' · token                           a token's result (TokenRecord)
//   value   u8 flags · varint version [· varint expiry] · bytes
//   flags   1 the expiry is there

/// The numbers of the rows.
package enum TabletRows {
    /// The first byte of the system's own rows.
    package static let internalPrefix: UInt8 = 0
    /// The first byte of users' rows.
    package static let userPrefix: UInt8 = 1
    /// The first byte behind all users' rows.
    package static let userEnd: UInt8 = 2

    static let hasExpiry: UInt8 = 1
    static let knownFlags: UInt8 = 1
    /// The greatest moment that an expiry may name: clients know signed numbers.
    static let expiryMax = UInt64(Int64.max)
    /// The longest key's row: prefix and key.
    static let keyBytesMax = 1 + Limits.keyBytesMax

    /// The row key of a user's key.
    package static func key(_ userKey: UnsafeRawBufferPointer) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(userKey.count + 1)
        bytes.append(userPrefix)
        bytes.append(contentsOf: userKey)
        return bytes
    }

    /// The row key of one of the system's own rows.
    package static func internalKey(_ name: String) -> [UInt8] { [internalPrefix] + Array(name.utf8) }

    /// The most bytes before the user's own in a row.
    static let headerBytesMax = 1 + 10 + 10

    /// Writes the start of a user's row, which the user's bytes follow; returns its length.
    ///
    /// - Precondition: `place` has room for `headerBytesMax`.
    static func writeHeader(version: UInt64, expiresAt: UInt64, to place: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        func put(_ byte: UInt8) {
            place[count] = byte
            count += 1
        }
        func put(varint value: UInt64) {
            var rest = value
            while rest >= 0x80 {
                put(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            put(UInt8(truncatingIfNeeded: rest))
        }
        put(expiresAt == 0 ? 0 : hasExpiry)
        put(varint: version)
        if expiresAt != 0 { put(varint: expiresAt) }
        return count
    }
}

/// A user's row, decoded: a view into its bytes.
///
/// SAFETY: `bytes` is a view; whoever decodes keeps the row alive while using it.
package struct StoredValue {
    /// The key's version.
    package let version: UInt64
    /// When it expires, in milliseconds since 1970; 0 for never.
    package let expiresAt: UInt64
    /// The user's bytes.
    package let bytes: UnsafeRawBufferPointer

    /// Decodes the value of a user's row.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for an unknown flag or an expiry of 0.
    package init(_ row: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(row)
        let flags = try reader.readByte()
        guard flags & ~TabletRows.knownFlags == 0 else { throw .invalid(offset: 0, what: "row flags \(flags)") }
        version = try reader.readVarint()
        if flags & TabletRows.hasExpiry != 0 {
            expiresAt = try reader.readVarint()
            guard expiresAt != 0 else { throw .invalid(offset: reader.offset - 1, what: "expiry 0") }
        } else {
            expiresAt = 0
        }
        bytes = try reader.readBytes(reader.remaining)
    }

    init(version: UInt64, expiresAt: UInt64, bytes: UnsafeRawBufferPointer) {
        self.version = version
        self.expiresAt = expiresAt
        self.bytes = bytes
    }

    /// Whether the key counts as absent at `time`.
    package func isExpired(at time: UInt64) -> Bool { expiresAt != 0 && expiresAt <= time }
}

extension TabletMark.Flags {
    /// A row with an expiry was written at some time: without this flag there is nothing to sweep.
    package static let holdsExpiries = TabletMark.Flags(rawValue: 2)
    /// A session or a token was recorded at some time: without this flag there is none to sweep.
    package static let holdsRecords = TabletMark.Flags(rawValue: 4)
}
