/// Which tables make up a tablet at one moment.
///
/// Immutable: an edit makes the next one, readers keep the one they hold.
///
/// Invariants: level 0 is ordered newest first and its tables may overlap; in each deeper level tables are sorted and
/// disjoint.
final class Version: Sendable {
    static let levelCount = 7

    let levels: [Level]

    init(_ levels: [Level]) {
        precondition(levels.count == Self.levelCount, "a version of \(levels.count) levels")
        self.levels = levels
    }

    static let empty = Version((0..<levelCount).map { _ in Level([]) })

    /// This version after `removed` tables went and `added` came.
    func applying(removed: Set<UInt64>, added: [(level: Int, file: TableFile)]) -> Version {
        var next: [Level] = []
        for (number, level) in levels.enumerated() {
            let coming = added.filter { $0.level == number }.map(\.file)
            if coming.isEmpty, !level.files.contains(where: { removed.contains($0.metadata.number) }) {
                next.append(level)
                continue
            }
            var files = level.files.filter { !removed.contains($0.metadata.number) } + coming
            if number == 0 {
                files.sort { $0.metadata.sequenceMax > $1.metadata.sequenceMax }
            } else {
                files.sort { compareKeys($0.metadata.smallest, $1.metadata.smallest) < 0 }
            }
            next.append(Level(files))
        }
        return Version(next)
    }

    /// Every table, with its level.
    var allFiles: [(level: Int, file: TableFile)] {
        levels.enumerated().flatMap { number, level in level.files.map { (number, $0) } }
    }

    /// Where the invariants do not hold, the reason.
    func invariantViolation() -> String? {
        for (number, level) in levels.enumerated().dropFirst() {
            for (a, b) in zip(level.files, level.files.dropFirst()) where !a.metadata.endsBefore(b.metadata.smallest) {
                return "tables \(a.metadata.number) and \(b.metadata.number) of level \(number) overlap"
            }
        }
        for (number, level) in levels.enumerated() {
            for file in level.files where compareKeys(file.metadata.smallest, file.metadata.largest) > 0 {
                return "table \(file.metadata.number) of level \(number) ends before it starts"
            }
        }
        return nil
    }
}

extension TableMetadata {
    /// Whether every key of the table is before `key`.
    func endsBefore(_ key: [UInt8]) -> Bool {
        let order = compareKeys(largest, key)
        return largestIsExclusive ? order <= 0 : order < 0
    }

    /// Whether every key of the table is before `key`.
    func endsBefore(_ key: ByteView) -> Bool {
        let order = largest.withView { compareBytes($0, key) }
        return largestIsExclusive ? order <= 0 : order < 0
    }

    /// Whether the table may hold keys between the bounds, both inclusive.
    func overlaps(smallest: [UInt8], largest: [UInt8]) -> Bool {
        !endsBefore(smallest) && compareKeys(self.smallest, largest) <= 0
    }
}

/// One level of a version, with its bounds laid flat, so that finding a table retains nothing.
///
/// SAFETY: `memory` is filled in the initializer and freed in `deinit`.
// SENDABLE: immutable after the initializer.
final class Level: @unchecked Sendable {
    let files: [TableFile]
    let bytes: UInt64
    /// Whether a table has range deletions.
    let hasRanges: Bool
    private let memory: UnsafeMutableRawPointer
    /// Per file: u32 offset and length of smallest, of largest, and whether largest is exclusive.
    private static let stride = 20

    init(_ files: [TableFile]) {
        self.files = files
        bytes = files.reduce(0) { $0 + $1.metadata.size }
        hasRanges = files.contains { $0.metadata.rangeCount > 0 }
        let keyBytes = files.reduce(0) { $0 + $1.metadata.smallest.count + $1.metadata.largest.count }
        memory = .allocate(byteCount: files.count * Self.stride + keyBytes + 8, alignment: 8)
        var place = files.count * Self.stride
        for (position, file) in files.enumerated() {
            let row = memory + position * Self.stride
            for (column, key) in [file.metadata.smallest, file.metadata.largest].enumerated() {
                row.storeBytes(of: UInt32(place), toByteOffset: column * 8, as: UInt32.self)
                row.storeBytes(of: UInt32(key.count), toByteOffset: column * 8 + 4, as: UInt32.self)
                key.withView { (memory + place).copyMemory(from: $0.base, byteCount: $0.count) }
                place += key.count
            }
            row.storeBytes(of: file.metadata.largestIsExclusive ? 1 : 0, toByteOffset: 16, as: UInt32.self)
        }
    }

    deinit { memory.deallocate() }

    @inline(__always)
    func smallest(_ position: Int) -> ByteView { bound(position, 0) }

    @inline(__always)
    func largest(_ position: Int) -> ByteView { bound(position, 8) }

    @inline(__always)
    private func bound(_ position: Int, _ column: Int) -> ByteView {
        let row = memory + (position &* Self.stride &+ column)
        return ByteView(
            UnsafeRawPointer(memory + Int(row.load(as: UInt32.self))),
            Int(row.load(fromByteOffset: 4, as: UInt32.self))
        )
    }

    /// Whether every key of table `position` is before `key`.
    @inline(__always)
    func endsBefore(_ position: Int, _ key: ByteView) -> Bool {
        let order = compareBytes(largest(position), key)
        if order != 0 { return order < 0 }
        return memory.load(fromByteOffset: position &* Self.stride &+ 16, as: UInt32.self) != 0
    }

    /// Whether table `position` may hold `key`.
    @inline(__always)
    func mayHold(_ position: Int, _ key: ByteView) -> Bool {
        compareBytes(smallest(position), key) <= 0 && !endsBefore(position, key)
    }

    /// In a sorted level: the first table that does not end before `key`; `files.count` where all do.
    @inline(__always)
    func firstNotBefore(_ key: ByteView) -> Int {
        var low = 0
        var high = files.count
        while low < high {
            let middle = (low &+ high) / 2
            if endsBefore(middle, key) { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The positions of the tables that overlap the bounds, both inclusive.
    func overlapping(smallest: [UInt8], largest: [UInt8]) -> [TableFile] {
        files.filter { $0.metadata.overlaps(smallest: smallest, largest: largest) }
    }
}
