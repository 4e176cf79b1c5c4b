package import KVBase
package import KVRaft

/// Who belongs to a group and on which node each replica lives: what the group's manifest holds as its configuration.
/// docs/formats/group-manifest.md
///
///     varint length · configuration (docs/formats/configuration.md) · varint count · count × (varint replica · varint node)
package struct GroupMembership: Sendable, Equatable {
    /// Voters and learners.
    package var configuration: Configuration
    /// Where each replica lives.
    package private(set) var nodes: [ReplicaID: NodeID]

    /// A membership with these parts.
    package init(configuration: Configuration, nodes: [ReplicaID: NodeID]) {
        self.configuration = configuration
        self.nodes = nodes
    }

    /// The node of a replica.
    package func node(of replica: ReplicaID) -> NodeID? { nodes[replica] }

    /// The replica on a node.
    package func replica(on node: NodeID) -> ReplicaID? {
        nodes.filter { $0.value == node }.keys.max()
    }

    /// The bytes that are stored.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(lengthPrefixed: configuration.encoded)
        bytes.append(varint: UInt64(nodes.count))
        for (replica, node) in nodes.sorted(by: { $0.key < $1.key }) {
            bytes.append(varint: replica.rawValue)
            bytes.append(varint: node.rawValue)
        }
        return bytes
    }

    /// The membership that was stored as these bytes.
    /// - Throws: what is wrong with them.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        self = try bytes.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
            var reader = ByteReader(UnsafeRawBufferPointer(buffer))
            let configuration = try Configuration(decoding: Array(try reader.readLengthPrefixed()))
            let count = try reader.readVarint()
            guard count <= 1_024 else { throw .invalid(offset: reader.offset, what: "\(count) replicas") }
            var nodes: [ReplicaID: NodeID] = [:]
            for _ in 0..<count { nodes[ReplicaID(try reader.readVarint())] = NodeID(try reader.readVarint()) }
            guard reader.isAtEnd else {
                throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes left over")
            }
            return GroupMembership(configuration: configuration, nodes: nodes)
        }
    }
}
