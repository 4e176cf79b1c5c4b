// The ids of the system, each a type of its own, so that a group is never passed where a shard is meant.

/// A host's id, chosen by whoever sets the cluster up; 1… and never used again for another host.
package struct NodeID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The number, 1….
    package let rawValue: UInt64
    /// The id with this number.
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The id with this number.
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// Orders by number.
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    package var description: String { String(rawValue) }
}

/// A voter's or learner's id inside one Raft group.
///
/// Never reused: a host that lost its log comes back under a new one.
package struct ReplicaID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The number, 1…; 0 stands for "nobody" on disk and on the wire.
    package let rawValue: UInt64
    /// The id with this number.
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The id with this number.
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// Orders by number.
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    package var description: String { String(rawValue) }
}

/// A Raft group: 0 is the controller, 1… own shards.
package struct GroupID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The number.
    package let rawValue: UInt32
    /// The id with this number.
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The id with this number.
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    /// Orders by number.
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    package var description: String { String(rawValue) }
    /// The group that holds the cluster id, the nodes and the shard map.
    package static let controller = GroupID(0)
}

/// A fixed, contiguous range of slots; 0 ..< the cluster's shard count.
package struct ShardID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The number.
    package let rawValue: UInt32
    /// The id with this number.
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The id with this number.
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    /// Orders by number.
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    package var description: String { String(rawValue) }
}

/// A shard's ownership count: every attempt to move a shard takes the next one.
package struct Epoch: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The number, 1….
    package let rawValue: UInt64
    /// The epoch with this number.
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The epoch with this number.
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// Orders by number.
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    package var description: String { String(rawValue) }
}

/// A Raft term (Ongaro, "Consensus: Bridging Theory and Practice", 3.3); 0 before the first election.
package typealias Term = UInt64

/// A place in a group's log; the first entry has 1, and 0 means "before the log".
package typealias LogIndex = UInt64

/// Which cluster a node belongs to: 128 random bits, drawn when the cluster is created and again by a restore.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
    /// The upper 64 bits.
    package let high: UInt64
    /// The lower 64 bits.
    package let low: UInt64
    /// The id made of two halves.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// The id written as 32 hexadecimal digits, or nil where `text` is not that.
    package init?(_ text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
    /// 32 hexadecimal digits.
    package var description: String { hexadecimal(high) + hexadecimal(low) }
}

/// Which life of a data directory this is: 64 random bits, drawn when the directory is created.
///
/// A known node id that shows another incarnation has lost its data, and is refused.
package struct Incarnation: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The bits.
    package let rawValue: UInt64
    /// The incarnation with these bits.
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The incarnation with these bits.
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// The incarnation written as 16 hexadecimal digits, or nil where `text` is not that.
    package init?(_ text: String) {
        guard text.utf8.count == 16, let bits = UInt64(text, radix: 16) else { return nil }
        self.init(bits)
    }
    /// 16 hexadecimal digits.
    package var description: String { hexadecimal(rawValue) }
}

/// 16 hexadecimal digits of a number.
package func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
