import KVBase
import KVLog

/// Which segments the log has and what keeps each from being dropped.
///
/// A segment may go when it is the oldest, is not the newest, the next one's opening state is durable, and every group's cut is past
/// the last entry it has there. An overwritten entry pins nothing.
struct NodeLogSegments {
    struct Segment: Equatable {
        let number: UInt32
        let start: UInt64
        /// When its first byte was written, in monotonic nanoseconds; 0 for one of before the process.
        var begunAt: UInt64 = 0
        /// The last index of each group that has entries here.
        var lastIndexes: [GroupID: LogIndex] = [:]
    }

    /// Oldest first; the last one is written now.
    private(set) var segments: [Segment] = []
    /// The position after the last byte of the log, as far as is known.
    private(set) var end: UInt64 = 0
    /// Segments before this one may go: this one's opening state is durable.
    private(set) var openedThrough: UInt32 = 0

    /// How many bytes the segments hold together.
    var bytes: UInt64 { end - (segments.first?.start ?? end) }

    /// Takes over what the log was found to hold, segments without records too; what was noted of them stays.
    mutating func adopt(_ contents: LogContents) {
        let noted = Dictionary(uniqueKeysWithValues: segments.map { ($0.number, $0.lastIndexes) })
        segments = contents.segments.map {
            Segment(number: $0.number, start: $0.start, lastIndexes: noted[$0.number] ?? [:])
        }
        end = contents.end
        openedThrough = segments.last?.number ?? 0
    }

    mutating func begin(_ number: UInt32, start: UInt64, now: UInt64 = 0) {
        precondition(number > segments.last?.number ?? 0, "segment \(number) after \(segments.last?.number ?? 0)")
        segments.append(Segment(number: number, start: start, begunAt: now))
        end = max(end, start)
    }

    mutating func opened(_ number: UInt32) {
        openedThrough = max(openedThrough, number)
    }

    mutating func extend(to position: UInt64) {
        end = max(end, position)
    }

    /// Notes a run of entries; where it replaced a suffix, the older segments hold nothing of the group from there on.
    mutating func note(_ group: GroupID, last: LogIndex, in number: UInt32, replacing replaced: LogIndex?) {
        guard let place = segments.lastIndex(where: { $0.number == number }) else { return }
        if let replaced {
            for index in 0..<place where segments[index].lastIndexes[group] ?? 0 >= replaced {
                segments[index].lastIndexes[group] = replaced - 1
            }
        }
        segments[place].lastIndexes[group] = last
    }

    /// Notes that a group's log begins anew: nothing written so far holds anything of it.
    mutating func forget(_ group: GroupID) {
        for index in segments.indices { segments[index].lastIndexes[group] = nil }
    }

    /// The groups that keep the oldest segment, by their cuts; empty where it may go.
    func pins(_ cuts: (GroupID) -> LogIndex) -> [(group: GroupID, through: LogIndex)] {
        guard let oldest = segments.first else { return [] }
        return oldest.lastIndexes.filter { $0.value > cuts($0.key) }.map { (group: $0.key, through: $0.value) }
            .sorted { $0.group < $1.group }
    }

    /// Whether the oldest segment may go.
    func canDropOldest(_ cuts: (GroupID) -> LogIndex) -> Bool {
        guard segments.count > 1, segments[1].number <= openedThrough else { return false }
        return pins(cuts).isEmpty
    }

    /// When the last byte of the oldest segment was written, about; nil where it is written now or that is not known.
    var endOfOldest: UInt64? {
        // What was there when the process started ended before any segment that it began.
        segments.dropFirst().first { $0.begunAt > 0 }?.begunAt
    }

    /// Whether each group that has entries in the oldest segment has `count` newer ones behind it.
    func hasEntriesBehindOldest(_ count: UInt64, _ lastIndex: (GroupID) -> LogIndex) -> Bool {
        guard segments.count > 1, let oldest = segments.first, !oldest.lastIndexes.isEmpty else { return false }
        return oldest.lastIndexes.allSatisfy { group, last in lastIndex(group) >= last + count }
    }

    mutating func dropOldest() -> Segment {
        segments.removeFirst()
    }
}
