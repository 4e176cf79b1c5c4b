import KVBase

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
//   set range    varint offset · varint length · bytes
//   add decimal  varint length · a decimal number as text
//   rename       u8 how · varint length · destination key
//   check        condition             only inside a transaction
//   clear        –                     all keys of the slot's shard; the key is empty, as in all that follow but the sweeps
//   transaction  repeated: varint length · request, all of the same slot, none with a number from 25 on
//   in session   u64 session · varint sequence · varint lowest outstanding · request (a write of one of the kinds above)
//   once         varint length · token · varint milliseconds to keep · request (likewise)
//   open session u64 session · varint milliseconds
//   keep session u64 session
//   end session  u64 session
//   advance time –                     internal: only a group's leader makes these three, no edge and no peer may submit them
//   sweep        varint version
//   sweep record –                     the key is the record's row key without its first byte
//
//   how          bits: 1 the source stays (a copy) · 2 only where the destination is absent
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
    /// Writes bytes into the middle of a value.
    case setRange = 21
    /// Adds to a decimal number with a fraction.
    case addDecimal = 22
    /// Gives a value another key of the same slot, or copies it there.
    case rename = 23
    /// Only inside a transaction: a condition that must hold for all of it.
    case check = 24
    /// Removes all keys of a shard.
    case clear = 25
    /// Several requests that take effect at once.
    case transaction = 32
    /// A write that takes effect once however often it is sent, by its number in a session.
    case inSession = 33
    /// A write that takes effect once however often it is sent, by a token.
    case once = 34
    /// Makes a session known to a shard.
    case openSession = 35
    /// Keeps a session from expiring.
    case keepSession = 36
    /// Ends a session.
    case endSession = 37
    /// Internal: changes nothing; its entry carries the leader's time, so that a key may be called expired from then on.
    case advanceTime = 64
    /// Internal: removes a key that has the given version and is expired at the entry's time.
    case sweep = 65
    /// Internal: removes a session or a token's record that has expired at the entry's time.
    case sweepRecord = 66

    /// Whether it goes through the log.
    package var isWrite: Bool { rawValue >= 16 }

    /// Whether only a group's leader makes it: requests from edges and peers with it are refused.
    package var isInternal: Bool { rawValue >= 64 }

    /// Whether it is more than one decision about one key.
    package var isCompound: Bool { rawValue >= 23 && rawValue < 64 || rawValue == 66 }
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
    /// A transaction of which nothing takes effect where one of its requests fails or finds its own condition not to hold.
    package static let allOrNothing = RequestFlags(rawValue: 4)
    /// All bits that this version knows; a request with another is refused.
    package static let known: RequestFlags = [.returnPrevious, .blind, .allOrNothing]
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

/// How a value gets another key.
package struct RenameOptions: OptionSet, Sendable {
    /// The bits.
    package let rawValue: UInt8
    /// Options from bits.
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The source stays: a copy.
    package static let keepsSource = RenameOptions(rawValue: 1)
    /// Only where the destination is absent.
    package static let onlyIfAbsent = RenameOptions(rawValue: 2)
    /// All bits that this version knows.
    package static let known: RenameOptions = [.keepsSource, .onlyIfAbsent]
}

/// Which request of which session one is.
package struct SessionStamp: Sendable, Equatable {
    /// The session.
    package var session: UInt64
    /// The request's number in it; a retry has the same.
    package var sequence: UInt64
    /// The lowest number that the client still waits for: results below it may be forgotten.
    package var lowestOutstanding: UInt64

    /// A stamp with these parts.
    package init(session: UInt64, sequence: UInt64, lowestOutstanding: UInt64) {
        self.session = session
        self.sequence = sequence
        self.lowestOutstanding = lowestOutstanding
    }
}

/// The bounds of sessions, tokens and transactions.
package enum SessionLimits {
    /// How many results a session keeps in a shard.
    package static let resultsMax = 256
    /// How many bytes of results a session keeps in a shard.
    package static let resultBytesMax = 1 << 20
    /// How long a session lives without being used unless told otherwise, in milliseconds.
    package static let lifeMillisecondsDefault: UInt64 = 60_000
    /// The shortest and the longest life, in milliseconds.
    package static let lifeMilliseconds: ClosedRange<UInt64> = 1_000...86_400_000
    /// The longest token in bytes.
    package static let tokenBytesMax = 255
    /// How long a token is remembered unless told otherwise, in milliseconds.
    package static let tokenMillisecondsDefault: UInt64 = 86_400_000
    /// How many requests a transaction may have.
    package static let transactionRequestsMax = 16_384
    /// The longest reply to a transaction, in bytes.
    package static let transactionReplyBytesMax = Limits.valueBytesMax
}
