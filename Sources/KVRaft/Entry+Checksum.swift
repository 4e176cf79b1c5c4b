package import KVBase

extension Entry {
    /// The checksum of an entry with these parts: CRC32C over group, kind, time and payload.
    /// - Complexity: O(payload).
    package static func checksum(group: GroupID, kind: EntryKind, time: UInt64, payload: [UInt8]) -> UInt32 {
        let start = CRC32C.checksum(of: UInt64(group.rawValue) << 8 | UInt64(kind.rawValue))
        return CRC32C.checksum(payload, seed: CRC32C.checksum(of: time, seed: start))
    }

    /// Whether the entry carries the checksum of its parts in `group`.
    /// - Complexity: O(payload).
    package func holdsChecksum(group: GroupID) -> Bool {
        checksum == Self.checksum(group: group, kind: kind, time: time, payload: payload)
    }
}

/// What a leader is asked to put into the log; the core gives it its index and term.
package struct ProposedEntry: Sendable, Equatable {
    /// What it is for.
    package var kind: EntryKind
    /// The leader's wall time, in milliseconds since 1970, at least `RaftCore.lastTime`.
    package var time: UInt64
    /// `Entry.checksum` of it.
    package var checksum: UInt32
    /// What is applied.
    package var payload: [UInt8]

    /// An entry with these parts.
    package init(kind: EntryKind, time: UInt64, checksum: UInt32, payload: [UInt8]) {
        self.kind = kind
        self.time = time
        self.checksum = checksum
        self.payload = payload
    }

    /// An entry with these parts and the checksum that belongs to them.
    package init(kind: EntryKind, time: UInt64, payload: [UInt8], group: GroupID) {
        self.init(
            kind: kind,
            time: time,
            checksum: Entry.checksum(group: group, kind: kind, time: time, payload: payload),
            payload: payload
        )
    }
}
