import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVService
import KVSharding
import KVSimulation

@testable import KVReplication
@testable import KVStorage

/// Logs as they are written.
enum LogSeeds {
    @Sendable static func files() -> [[UInt8]] {
        [true, false].map { isClosed in
            let disk = SimulatedFileSystem()
            do {
                try disk.createDirectory("log")
                let writer = try LogWriter.open(
                    disk,
                    directory: "log",
                    identity: [],
                    segmentBytes: 1024,
                    after: LogContents(emptyIn: "log")
                )
                for number in 0..<8 {
                    try writer.append(.batch, [UInt8](repeating: UInt8(number), count: number * 40))
                    if number % 3 == 0 { try writer.sync() }
                }
                if isClosed { try writer.close() } else { try writer.markSynced() }
            } catch { return [] }
            var seed: [UInt8] = []
            for path in disk.allFiles() { seed.append(piece: disk.content(of: path) ?? []) }
            return seed
        }
    }

    @Sendable static func records() -> [[UInt8]] {
        var seed: [UInt8] = []
        func add(_ kind: LogRecordKind, _ payload: [UInt8]) {
            seed.append(kind.rawValue)
            seed.append(piece: payload)
        }
        add(.segmentState, NodeLogFormat.encodeSegmentState([GroupID(1): GroupLogState()]))
        add(.raftEntries, run(1, first: 1, terms: [1, 1, 2]))
        add(.raftState, NodeLogFormat.encodeState(GroupID(1), HardState(term: 2, vote: ReplicaID(3), commit: 2)))
        add(.raftEntries, run(1, first: 3, terms: [3, 3]))
        add(.raftEntries, run(2, first: 1, terms: [1]))
        add(.raftReset, NodeLogFormat.encodeReset(GroupID(2), LogCut(index: 9, term: 4)))
        return [seed]
    }

    private static func run(_ group: UInt32, first: LogIndex, terms: [Term]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: group)
        bytes.append(littleEndian: first)
        bytes.append(littleEndian: UInt32(terms.count))
        for term in terms {
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: term), count: 5)
            bytes.append(littleEndian: term)
            bytes.append(EntryKind.commands.rawValue)
            bytes.append(littleEndian: UInt64(1000))
            bytes.append(littleEndian: CRC32C.checksum(payload))
            bytes.append(littleEndian: UInt32(payload.count))
            bytes += payload
        }
        return bytes
    }

    private typealias EntryKind = KVRaft.EntryKind
}

/// One input for each decoder of `RecordTargets`, the number of the decoder first.
enum RecordSeeds {
    @Sendable static func all() -> [[UInt8]] {
        var group = GroupManifestState()
        group.membership = [1, 2, 3]
        group.tablets = [.init(shard: ShardID(1), epoch: Epoch(2), number: 3)]
        group.nextNumber = 4
        group.highestEpoch = [ShardID(1): Epoch(2)]
        var mark: [UInt8] = []
        TabletMark(appliedIndex: 5, appliedTerm: 2, revision: 9).encode(into: &mark)
        var batch = WriteBatch()
        batch.put([1, 2], [3])
        batch.deleteRange([1], [2])
        var reply: [UInt8] = []
        ProxyFormat.append(Reply(.done, version: 3, expiresAt: 0), tag: 1, to: &reply)
        var entry = EntryBuilder()
        _ = entry.appendAdvanceTime(shard: ShardID(1), epoch: Epoch(1))
        _ = entry.appendSweep([1, 2, 3], version: 9, shard: ShardID(1), epoch: Epoch(1))
        let snapshot = SnapshotManifest(index: 5, term: 2, membership: [1], parts: [])
        var requests = [UInt8](repeating: 0, count: 24)
        requests[0] = 1
        return [
            [0] + requests, [1] + entry.take(), [2, 0, 3, 1, 2, 3], [3] + reply, [4] + group.encoded, [5] + mark,
            [6] + batch.bytes, [7, 1, 0, 0], [8] + ControllerState().encoded, [9, 1, 2, 3, 4],
            [10] + Array("format = 1\ncluster = 1\nnode = 1\n".utf8), [11] + snapshot.encoded, [12, 1, 2, 3, 4, 5, 6],
        ]
    }
}
