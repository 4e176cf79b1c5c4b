import KVBase
import KVRaft
import KVReplication

/// A small generator with a fixed stream for each seed (Steele, Lea, Flood 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

enum Samples {
    static func entry(_ index: LogIndex, _ payload: [UInt8], kind: EntryKind = .commands) -> Entry {
        Entry(
            index: index,
            term: 7,
            kind: kind,
            time: 1_700_000_000_000 &+ index,
            checksum: 0xdead_beef,
            payload: payload
        )
    }

    /// One of every kind, with every field set, and the corners: nothing set, everything at its greatest.
    static let messages: [PeerMessage] = {
        let raft = MessageKind.allCases.map { kind in
            PeerMessage.raft(
                GroupID(3),
                Message(
                    kind,
                    from: ReplicaID(1),
                    to: ReplicaID(2),
                    term: 9,
                    logTerm: 8,
                    index: 700,
                    commit: 699,
                    isRejected: kind == .appendResponse,
                    isForced: kind == .vote,
                    rejectHint: 12,
                    context: 99,
                    entries: kind == .append
                        ? [
                            entry(701, []), entry(702, [0, 255, 10]),
                            entry(703, [UInt8](repeating: 7, count: 300), kind: .configuration),
                            entry(.max, [1], kind: .empty),
                        ] : [],
                    configuration: kind == .snapshot ? [9, 8, 7] : []
                )
            )
        }
        let greatest = Message(
            .append,
            from: ReplicaID(.max),
            to: ReplicaID(.max),
            term: .max,
            logTerm: .max,
            index: .max,
            commit: .max,
            isRejected: true,
            isForced: true,
            rejectHint: .max,
            context: .max,
            entries: [
                Entry(index: .max, term: .max, kind: .configuration, time: .max, checksum: .max, payload: [])
            ],
            configuration: [1]
        )
        return raft + [
            .raft(GroupID(0), Message(.heartbeat, from: ReplicaID(0), to: ReplicaID(0), term: 0)),
            .raft(GroupID(.max), greatest),
            .requests(ProxiedRequests(id: 5, group: GroupID(1), payload: [1, 2, 3])),
            .requests(ProxiedRequests(id: 0, group: GroupID(0), payload: [])),
            .replies(ProxiedReplies(id: .max, payload: [4, 5])),
            .snapshotChunk(chunk(2, bytes: [6, 6, 6])),
            .snapshotProgress(SnapshotProgress(group: GroupID(1), transfer: 4, state: .receiving, chunks: 10)),
            .snapshotProgress(
                SnapshotProgress(group: GroupID(1), transfer: 4, state: .refused, chunks: 0, reason: "no space · кв")
            ),
        ]
    }()

    static func chunk(_ transfer: UInt64, bytes: [UInt8]) -> SnapshotChunk {
        SnapshotChunk(
            group: GroupID(1),
            transfer: transfer,
            index: 50,
            term: 3,
            file: "4/000012.sst",
            offset: 1 << 40,
            endsFile: true,
            endsSnapshot: false,
            checksum: 77,
            bytes: bytes
        )
    }
}
