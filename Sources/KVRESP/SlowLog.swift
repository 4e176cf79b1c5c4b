import Synchronization

/// The slowest commands of late, and the settings that CONFIG SET changes.
///
/// A bounded ring: the oldest goes first. What is slow is decided once a turn of an event loop for all commands that ended in it.
final class SlowLog: Sendable {
    /// Commands that were alike and slow together.
    struct Entry: Sendable {
        var id: UInt64
        /// When it ended, in milliseconds since 1970.
        var at: UInt64
        var microseconds: UInt64
        /// The command's place in the table.
        var command: UInt8
        var count: UInt64
    }

    private struct State {
        var entries: [Entry] = []
        var lastID: UInt64 = 0
        var lengthMax: Int
    }

    private let threshold: Atomic<Int64>
    private let state: Mutex<State>

    /// The longest that CONFIG SET may make it.
    static let lengthLimit = 10_000

    init(lengthMax: Int, microseconds: Int64) {
        state = Mutex(State(lengthMax: lengthMax))
        threshold = Atomic(microseconds)
    }

    /// From how many microseconds on a command is slow; negative: none is.
    var thresholdMicroseconds: Int64 {
        get { threshold.load(ordering: .relaxed) }
        set { threshold.store(newValue, ordering: .relaxed) }
    }

    /// How many entries are kept.
    var lengthMax: Int {
        get { state.withLock { $0.lengthMax } }
        set {
            state.withLock { state in
                state.lengthMax = newValue
                state.entries.removeFirst(max(0, state.entries.count - newValue))
            }
        }
    }

    /// Whether anything belongs here.
    var isOn: Bool { thresholdMicroseconds >= 0 }

    /// Whether something that took so long belongs here.
    func isSlow(nanoseconds: UInt64) -> Bool {
        let least = thresholdMicroseconds
        return least >= 0 && nanoseconds / 1_000 >= UInt64(least)
    }

    func add(command: UInt8, count: UInt64, nanoseconds: UInt64, at: UInt64) {
        state.withLock { state in
            guard state.lengthMax > 0 else { return }
            if state.entries.count >= state.lengthMax { state.entries.removeFirst() }
            state.entries.append(
                Entry(id: state.lastID, at: at, microseconds: nanoseconds / 1_000, command: command, count: count)
            )
            state.lastID += 1
        }
    }

    /// The newest entries, newest first.
    func latest(_ limit: Int) -> [Entry] { state.withLock { Array($0.entries.reversed().prefix(limit)) } }

    var count: Int { state.withLock { $0.entries.count } }

    func removeAll() { state.withLock { $0.entries = [] } }
}
