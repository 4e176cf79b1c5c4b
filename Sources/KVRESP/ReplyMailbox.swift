import KVService
import Synchronization

/// Replies that came on another thread than the connection's: copied under a lock, taken over by the connection's loop in one
/// hop however many they are.
struct ReplyMailbox: ~Copyable {
    struct Letter {
        var tag: UInt64
        var outcome: Reply.Outcome
        var version: UInt64
        var expiresAt: UInt64
        var integer: Int64
        /// A negative count is "no value".
        var value: ArgumentRange
        var error: ServiceError?
    }

    struct Letters {
        var letters: [Letter] = []
        var bytes: [UInt8] = []
        var isHopping = false
    }

    private let state = Mutex(Letters())

    /// Copies a reply.
    /// - Returns: whether the caller has to hop; false while a hop is under way.
    func post(_ tag: UInt64, _ reply: borrowing Reply) -> Bool {
        let value = reply.value
        let letter = (
            outcome: reply.outcome, version: reply.version, expiresAt: reply.expiresAt, integer: reply.integer,
            error: reply.error
        )
        return state.withLock { state in
            var range = ArgumentRange(offset: state.bytes.count, count: -1)
            if let value {
                range.count = value.count
                state.bytes.append(contentsOf: value)
            }
            state.letters.append(
                Letter(
                    tag: tag,
                    outcome: letter.outcome,
                    version: letter.version,
                    expiresAt: letter.expiresAt,
                    integer: letter.integer,
                    value: range,
                    error: letter.error
                )
            )
            defer { state.isHopping = true }
            return !state.isHopping
        }
    }

    /// All letters; the next one needs a new hop.
    ///
    /// `spare` lends its memory.
    func take(_ spare: inout Letters) {
        spare.letters.removeAll(keepingCapacity: spare.letters.capacity <= 4_096)
        spare.bytes.removeAll(keepingCapacity: spare.bytes.capacity <= 1 << 20)
        state.withLock { state in
            swap(&state.letters, &spare.letters)
            swap(&state.bytes, &spare.bytes)
            state.isHopping = false
        }
    }
}
