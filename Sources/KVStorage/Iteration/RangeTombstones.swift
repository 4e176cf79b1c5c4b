/// A deletion of every key in `start ..< end` that is older than `sequence`.
struct RangeTombstone: Equatable, Sendable {
    let start: [UInt8]
    let end: [UInt8]
    let sequence: UInt64
}

/// Range deletions cut into disjoint fragments in key order, so that a look-up is one binary search.
///
/// Immutable.
///
/// Sum: n deletions make at most 2n − 1 fragments; each fragment keeps the sequences of all that cover it, newest
/// first.
final class RangeTombstoneSet: Sendable {
    struct Fragment: Sendable {
        let start: [UInt8]
        let end: [UInt8]
        /// Falling.
        let sequences: [UInt64]
    }

    let tombstones: [RangeTombstone]
    let fragments: [Fragment]

    init(_ tombstones: [RangeTombstone]) {
        self.tombstones = tombstones
        self.fragments = Self.fragment(tombstones)
    }

    var isEmpty: Bool { fragments.isEmpty }

    func adding(_ tombstone: RangeTombstone) -> RangeTombstoneSet { RangeTombstoneSet(tombstones + [tombstone]) }

    /// The newest deletion at or before `sequence` that covers `key`; 0 where there is none.
    func newestCovering(_ key: ByteView, at sequence: UInt64) -> UInt64 {
        guard let index = fragmentIndex(covering: key) else { return 0 }
        return fragments[index].sequences.first { $0 <= sequence } ?? 0
    }

    /// The fragment that covers `key`.
    func fragmentIndex(covering key: ByteView) -> Int? {
        var low = 0
        var high = fragments.count
        while low < high {
            let middle = (low + high) / 2
            if fragments[middle].end.withView({ compareBytes($0, key) }) <= 0 {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low < fragments.count, fragments[low].start.withView({ compareBytes($0, key) }) <= 0 else { return nil }
        return low
    }

    private static func fragment(_ tombstones: [RangeTombstone]) -> [Fragment] {
        guard !tombstones.isEmpty else { return [] }
        var edges: [[UInt8]] = []
        for tombstone in tombstones where compareKeys(tombstone.start, tombstone.end) < 0 {
            edges.append(tombstone.start)
            edges.append(tombstone.end)
        }
        edges.sort { compareKeys($0, $1) < 0 }
        let sorted = tombstones.sorted { compareKeys($0.start, $1.start) < 0 }
        var next = 0
        var open: [RangeTombstone] = []
        var fragments: [Fragment] = []
        for index in edges.indices.dropLast() where edges[index] != edges[index + 1] {
            let start = edges[index]
            while next < sorted.count, compareKeys(sorted[next].start, start) <= 0 {
                open.append(sorted[next])
                next += 1
            }
            open.removeAll { compareKeys($0.end, start) <= 0 }
            guard !open.isEmpty else { continue }
            let sequences = open.map(\.sequence).sorted(by: >)
            fragments.append(Fragment(start: start, end: edges[index + 1], sequences: sequences))
        }
        return fragments
    }
}
