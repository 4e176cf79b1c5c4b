import NIOCore

/// How a reply of the service becomes a reply of the command that asked.
enum ReplyShape: UInt8 {
    /// `+OK`; no value where the condition did not hold (SET).
    case ok
    /// The value, or none (GET, and the previous one of SET … GET, GETSET, GETDEL).
    case value
    /// 1 where it took effect, 0 otherwise (SETNX, DEL of one, EXISTS of one).
    case flag
    /// The number (INCR, APPEND, EXPIRE); 0 where there was no key.
    case number
    /// The length of the value; 0 where there is none.
    case length
    /// `+string` or `+none`.
    case type
    /// Seconds to live, rounded; −1 without expiry, −2 without key.
    case secondsToLive
    case millisecondsToLive
    /// When it expires, in seconds since 1970; −1 and −2 likewise.
    case expiryInSeconds
    case expiryInMilliseconds
    /// Parts: how many took effect (DEL, EXISTS of several).
    case sum
    /// Parts: all values (MGET).
    case values
    /// Parts: `+OK` once all are done (MSET).
    case allOK
    /// Parts: `+OK` once the versions of all are known (WATCH).
    case watched
    /// `+OK`; an error where there is no key (RENAME).
    case renamed
    /// 1 or 0; an error where there is no key (RENAMENX).
    case renamedIfAbsent
    /// With a range: the bytes of the value in it (GETRANGE).
    case range
    /// How the value would be kept (OBJECT ENCODING); none where there is no key.
    case encoding
    /// How many would share the value (OBJECT REFCOUNT); none where there is no key.
    case references
    /// With an error's line: that where there is a key, none where there is none (GETEX with a bad time).
    case errorWherePresent
    /// About how many bytes the key takes (MEMORY USAGE); none where there is no key.
    case memory
    /// With what was gathered: an array of the replies to its commands (EXEC), or the only one (KV.SESSION).
    case transaction
    /// Written by whoever asked for it.
    case custom

    /// Whether it is written from the one reply and an `Aggregate`.
    var isWhole: Bool { self == .range || self == .memory || self == .transaction || self == .errorWherePresent }
}

/// The replies to the parts of one command that have come so far.
final class Aggregate {
    var remaining: Int
    var sum: Int64 = 0
    var errorLine: String?
    var outcome = 0
    /// MGET: where each value stands in `bytes`; a negative count is "no value".
    var values: [ArgumentRange]
    var bytes: [UInt8] = []
    /// GETRANGE: from where to where, counted from the end where negative; MEMORY USAGE: the key's length.
    var range: (start: Int64, end: Int64) = (0, -1)
    /// WATCH: the versions of the keys.
    var versions: [UInt64] = []
    /// EXEC and KV.SESSION: the commands.
    var capture: Capture?

    init(parts: Int, keepsValues: Bool) {
        remaining = parts
        versions = []
        values = keepsValues ? Array(repeating: ArgumentRange(offset: 0, count: -1), count: parts) : []
    }
}

/// A command that has not been answered yet, or was answered before its turn.
struct PendingReply {
    /// Which kind of access it has under way, for the order between reads and writes.
    enum Access: UInt8 {
        case none
        case read
        case write
    }

    var shape: ReplyShape
    var access: Access
    var isRESP3: Bool
    var isDone = false
    /// The command's place in the table.
    var command: UInt8
    /// When its bytes were read, in the loop's nanoseconds.
    var startedAt: UInt64
    /// Where its encoded reply stands in the stash, once it is done.
    var stashOffset = 0
    var stashCount = 0
    var aggregate: Aggregate?
}

/// The unanswered commands of a connection in their order: a ring, so that a reply finds its place by number.
///
/// Invariants: `head <= tail`; slots `head ..< tail` are live; the one at `head` is not done (a done one is written and left at once);
/// the ring grows by doubling and holds `tail - head` slots at most its capacity.
struct PendingReplies {
    private var slots: ContiguousArray<PendingReply>
    /// The number of the oldest unanswered command.
    private(set) var head: UInt64 = 0
    /// The number that the next command gets.
    private(set) var tail: UInt64 = 0
    /// Replies that came before their turn, encoded.
    var stash = ByteBuffer()

    private static var vacant: PendingReply {
        PendingReply(shape: .custom, access: .none, isRESP3: false, command: 0, startedAt: 0)
    }

    init() {
        slots = ContiguousArray(repeating: Self.vacant, count: 16)
    }

    var count: Int { Int(tail - head) }
    var isEmpty: Bool { head == tail }

    /// Takes the next number for a command.
    mutating func append(_ reply: PendingReply) -> UInt64 {
        if count == slots.count { grow() }
        slots[Int(tail) & (slots.count - 1)] = reply
        tail += 1
        return tail - 1
    }

    /// The slot of a number in `head ..< tail`.
    subscript(_ sequence: UInt64) -> PendingReply {
        get {
            precondition(sequence >= head && sequence < tail, "reply \(sequence) is not among \(head) ..< \(tail)")
            return slots[Int(sequence) & (slots.count - 1)]
        }
        _modify {
            precondition(sequence >= head && sequence < tail, "reply \(sequence) is not among \(head) ..< \(tail)")
            yield &slots[Int(sequence) & (slots.count - 1)]
        }
    }

    func contains(_ sequence: UInt64) -> Bool { sequence >= head && sequence < tail }

    /// Leaves the oldest, whose reply has been written to `output`, and writes those after it that are done.
    mutating func advance(_ output: inout ByteBuffer) {
        head += 1
        while head < tail {
            let place = Int(head) & (slots.count - 1)
            guard slots[place].isDone else { return }
            if let bytes = stash.getSlice(at: slots[place].stashOffset, length: slots[place].stashCount) {
                output.writeImmutableBuffer(bytes)
            }
            head += 1
        }
        if stash.writerIndex > 0 { emptyStash() }
    }

    /// Marks a command as answered by what was written to the stash from `offset` on.
    mutating func stashed(_ sequence: UInt64, from offset: Int) {
        self[sequence].isDone = true
        self[sequence].stashOffset = offset
        self[sequence].stashCount = stash.writerIndex - offset
    }

    /// Drops from the stash what was written out, once it is the greater part: a stash that never runs empty stays bounded by
    /// about twice what is live.
    mutating func compactStash() {
        guard stash.writerIndex > 64 * 1024 else { return }
        var live = 0
        for sequence in head..<tail where self[sequence].isDone { live += self[sequence].stashCount }
        guard stash.writerIndex > 2 * live else { return }
        var kept = ByteBuffer()
        kept.reserveCapacity(live)
        for sequence in head..<tail where self[sequence].isDone {
            let offset = kept.writerIndex
            if let bytes = stash.getSlice(at: self[sequence].stashOffset, length: self[sequence].stashCount) {
                kept.writeImmutableBuffer(bytes)
            }
            self[sequence].stashOffset = offset
        }
        stash = kept
    }

    private mutating func emptyStash() {
        if stash.capacity > 256 * 1024 { stash = ByteBuffer() } else { stash.clear() }
    }

    private mutating func grow() {
        var larger = ContiguousArray(repeating: Self.vacant, count: slots.count * 2)
        for sequence in head..<tail {
            larger[Int(sequence) & (larger.count - 1)] = slots[Int(sequence) & (slots.count - 1)]
        }
        slots = larger
    }
}
