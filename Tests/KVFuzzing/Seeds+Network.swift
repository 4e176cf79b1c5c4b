import KVBase
import KVRaft
import KVReplication
import NIOCore

@testable import KVPeer

/// Streams and files as they come.
enum NetworkSeeds {
    @Sendable static func requests() -> [[UInt8]] {
        [
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*1\r\n$4\r\nPING\r\n", "PING\r\nSET a \"b c\\x41\"\r\n",
            "*0\r\n\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "*-1\r\n$9\r\n", "GET 'it\\'s'\n", "*2\r\n$0003\r\nGET\r\n",
        ].map { [3] + Array($0.utf8) }
    }

    private static let messages: [PeerMessage] = [
        .raft(
            GroupID(1),
            Message(
                .append,
                from: ReplicaID(1),
                to: ReplicaID(2),
                term: 3,
                logTerm: 2,
                index: 9,
                commit: 8,
                entries: [
                    Entry(index: 10, term: 3, kind: .commands, time: 5, checksum: 7, payload: [1, 2, 3])
                ]
            )
        ),
        .raft(GroupID(1), Message(.appendResponse, from: ReplicaID(2), to: ReplicaID(1), term: 3, index: 10)),
        .snapshotProgress(
            SnapshotProgress(group: GroupID(1), transfer: 2, state: .receiving, chunks: 3, reason: "why")
        ),
    ]

    @Sendable static func frames() -> [[UInt8]] {
        messages.compactMap { message in
            var payloads: [[UInt8]] = []
            var envelope = WireEnvelope()
            envelope.messages.append(message.wire(payloads: &payloads))
            var buffer = ByteBuffer()
            PeerFrameEncoder.encodeMagic(into: &buffer)
            guard (try? PeerFrameEncoder.encode(envelope, payloads: payloads, into: &buffer)) != nil else { return nil }
            return Array(buffer.readableBytesView)
        }
    }

    @Sendable static func envelopes() -> [[UInt8]] {
        messages.compactMap { message in
            var payloads: [[UInt8]] = []
            var envelope = WireEnvelope()
            envelope.messages.append(message.wire(payloads: &payloads))
            guard let bytes: [UInt8] = try? envelope.serializedBytes() else { return nil }
            var seed: [UInt8] = []
            seed.append(piece: bytes)
            return seed + payloads.joined()
        }
    }

    @Sendable static func configurations() -> [[UInt8]] {
        [
            "node: {id: 1, data_dir: data}\n",
            "node:\n  id: 2\n  data_dir: \"/tmp/x\"\ncluster:\n  members:\n    - {id: 1, peer: 'h:1'}\n    - {id: 2, peer: 'h:2'}\n",
            "a: &x [1, 2]\nb: *x\n", "%YAML 1.1\n---\nnode: !!int 3\n...\n---\n", "node: |\n  text\n", "? [a]\n: b\n",
        ].map { Array($0.utf8) }
    }
}
