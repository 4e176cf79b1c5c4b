package import KVBase

/// What a member tells a node that wants to join. docs/formats/join.md
///
///     u8 version 1 · u64 cluster high · u64 cluster low · varint shards · u8 state · text
///     varint members × (varint node · text address · u8 has incarnation [· u64 incarnation])
///     varint replicas × (varint group · varint replica)
///     text = varint length · UTF-8
package struct JoinAnswer: Sendable, Equatable {
    /// How the cluster regards the node that asks.
    package enum State: UInt8, Sendable {
        /// Nobody has added it yet, or the cluster does not know where it is to live; it asks again.
        case unknown = 0
        /// It has its replicas.
        case placed = 1
        /// It can never join; the text says why.
        case refused = 2
    }

    /// A member.
    package struct Member: Sendable, Equatable {
        /// Its id.
        package var node: NodeID
        /// Where its peers reach it.
        package var address: String
        /// The life of its data directory, where the cluster knows it.
        package var incarnation: Incarnation?

        /// A member with these parts.
        package init(node: NodeID, address: String, incarnation: Incarnation?) {
            self.node = node
            self.address = address
            self.incarnation = incarnation
        }
    }

    /// The cluster.
    package var cluster: ClusterID
    /// How many shards it has.
    package var shardCount: Int
    /// How the asking node stands.
    package var state: State
    /// What to do, for a person.
    package var text: String
    /// The members.
    package var members: [Member]
    /// Where `placed`: the replicas that the asking node hosts.
    package var replicas: [GroupID: ReplicaID]

    /// An answer with these parts.
    package init(
        cluster: ClusterID,
        shardCount: Int,
        state: State,
        text: String,
        members: [Member] = [],
        replicas: [GroupID: ReplicaID] = [:]
    ) {
        self.cluster = cluster
        self.shardCount = shardCount
        self.state = state
        self.text = text
        self.members = members
        self.replicas = replicas
    }

    private static let version: UInt8 = 1
    private static let countMax: UInt64 = 4_096

    /// The bytes that are sent.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        bytes.append(littleEndian: cluster.high)
        bytes.append(littleEndian: cluster.low)
        bytes.append(varint: UInt64(shardCount))
        bytes.append(state.rawValue)
        bytes.append(lengthPrefixed: Array(text.utf8))
        bytes.append(varint: UInt64(members.count))
        for member in members {
            bytes.append(varint: member.node.rawValue)
            bytes.append(lengthPrefixed: Array(member.address.utf8))
            bytes.append(member.incarnation == nil ? 0 : 1)
            if let incarnation = member.incarnation { bytes.append(littleEndian: incarnation.rawValue) }
        }
        bytes.append(varint: UInt64(replicas.count))
        for (group, replica) in replicas.sorted(by: { $0.key < $1.key }) {
            bytes.append(varint: UInt64(group.rawValue))
            bytes.append(varint: replica.rawValue)
        }
        return bytes
    }

    /// The answer that these bytes are.
    /// - Throws: what is wrong with them.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        self = try bytes.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
            var reader = ByteReader(UnsafeRawBufferPointer(buffer))
            return try Self.read(&reader)
        }
    }

    private static func read(_ reader: inout ByteReader) throws(DecodingError) -> JoinAnswer {
        let version = try reader.readByte()
        guard version == Self.version else { throw .invalid(offset: 0, what: "join answer of version \(version)") }
        let high: UInt64 = try reader.readLittleEndian()
        let cluster = ClusterID(high: high, low: try reader.readLittleEndian())
        let shards = try reader.readVarint()
        guard (1...UInt64(UInt16.max)).contains(shards) else {
            throw .invalid(offset: reader.offset, what: "\(shards) shards")
        }
        guard let state = State(rawValue: try reader.readByte()) else {
            throw .invalid(offset: reader.offset, what: "the state of a join")
        }
        let text = String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)
        var answer = JoinAnswer(cluster: cluster, shardCount: Int(shards), state: state, text: text)
        for _ in 0..<(try readCount(&reader)) {
            let node = NodeID(try reader.readVarint())
            let address = String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)
            var incarnation: Incarnation?
            if try reader.readByte() == 1 { incarnation = Incarnation(try reader.readLittleEndian()) }
            answer.members.append(Member(node: node, address: address, incarnation: incarnation))
        }
        for _ in 0..<(try readCount(&reader)) {
            let group = try reader.readVarint()
            guard let group = UInt32(exactly: group) else {
                throw .invalid(offset: reader.offset, what: "group \(group)")
            }
            let replica = try reader.readVarint()
            guard replica > 0, replica < 1 << 62 else {
                throw .invalid(offset: reader.offset, what: "replica \(replica)")
            }
            answer.replicas[GroupID(group)] = ReplicaID(replica)
        }
        guard reader.isAtEnd else { throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes left over") }
        return answer
    }

    private static func readCount(_ reader: inout ByteReader) throws(DecodingError) -> UInt64 {
        let count = try reader.readVarint()
        guard count <= countMax else { throw .invalid(offset: reader.offset, what: "a count of \(count)") }
        return count
    }
}
