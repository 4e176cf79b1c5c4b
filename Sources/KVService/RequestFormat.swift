// The bytes of a request: made once by an edge, proxied, proposed and logged as they are, decoded at apply. docs/formats/request.md
//
//   u8 operation · u8 flags · u16 slot · varint key length · key · fields of the operation
//
//   get, head    –
//   put          condition · expiry · varint value length · value
//   delete       condition
//   expire       expiry · u8 rule
//   increment    i64 amount
//   append       varint length · bytes
//   advance time –                     internal: only a group's leader makes these two, no edge and no peer may submit them
//   sweep        varint version
//
//   condition    u8 0 none · 1 absent · 2 present · 3 version, then varint version
//   expiry       u8 0 none · 1 keep · 2 in, then varint milliseconds · 3 at, then varint milliseconds since 1970

/// What a request does.
///
/// The number is stored and sent.
package enum Operation: UInt8, Sendable, CaseIterable {
    /// Reads value, version and expiry.
    case get = 1
    /// Reads length, version and expiry.
    case head = 2
    /// Writes a value.
    case put = 16
    /// Removes a key.
    case delete = 17
    /// Sets or removes an expiry.
    case expire = 18
    /// Adds to a decimal number.
    case increment = 19
    /// Adds bytes at the end of a value.
    case append = 20
    /// Internal: changes nothing; its entry carries the leader's time, so that a key may be called expired from then on.
    case advanceTime = 64
    /// Internal: removes a key that has the given version and is expired at the entry's time.
    case sweep = 65

    /// Whether it goes through the log.
    package var isWrite: Bool { rawValue >= 16 }

    /// Whether only a group's leader makes it: requests from edges and peers with it are refused.
    package var isInternal: Bool { rawValue >= 64 }
}

/// Bits of a request's second byte.
package struct RequestFlags: OptionSet, Sendable {
    /// The bits.
    package let rawValue: UInt8
    /// Flags from bits.
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The reply carries the value from before (put, delete).
    package static let returnPrevious = RequestFlags(rawValue: 1)
    /// A delete whose caller does not care whether the key was there: it reads nothing.
    package static let blind = RequestFlags(rawValue: 2)
    /// All bits that this version knows; a request with another is refused.
    package static let known: RequestFlags = [.returnPrevious, .blind]
}

/// When a write takes effect.
package enum Condition: Equatable, Sendable {
    case none
    /// The key must be absent (NX, `If-None-Match: *`).
    case absent
    /// The key must be present (XX, `must_exist`).
    case present
    /// The key must have this version (`If-Match`).
    case version(UInt64)
}

/// What becomes of a key's expiry.
package enum Expiry: Equatable, Sendable {
    /// Never expires.
    case none
    /// As it was before.
    case keep
    /// This many milliseconds after the log entry's time.
    case after(milliseconds: UInt64)
    /// At this moment, in milliseconds since 1970. One that is past removes the key.
    case at(milliseconds: UInt64)
}

/// When an `expire` applies (Redis 7's NX, XX, GT, LT).
///
/// The number is stored and sent.
package enum ExpireRule: UInt8, Sendable {
    case always = 0
    /// Only if there is no expiry.
    case ifNone = 1
    /// Only if there is one.
    case ifSome = 2
    /// Only if the new one is later (none counts as latest).
    case ifLater = 3
    /// Only if the new one is earlier (none counts as latest).
    case ifEarlier = 4
}
