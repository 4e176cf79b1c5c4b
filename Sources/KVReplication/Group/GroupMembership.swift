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

    /// The membership after a change to `configuration` that brought `newcomers`; who has no part in it is forgotten.
    package func changed(to configuration: Configuration, newcomers: [ReplicaID: NodeID]) -> GroupMembership {
        let known = nodes.merging(newcomers) { _, new in new }
        return GroupMembership(configuration: configuration, nodes: known.filter { configuration.contains($0.key) })
    }

    /// The context of a change of the configuration: where the replicas that it brings live.
    ///
    ///     varint count · count × (varint replica · varint node)
    package static func context(_ newcomers: [ReplicaID: NodeID]) -> [UInt8] {
        var bytes: [UInt8] = []
        append(newcomers, to: &bytes)
        return bytes
    }

    /// What a change's context says; empty bytes bring nobody.
    /// - Throws: what is wrong with the bytes.
    package static func newcomers(_ context: [UInt8]) throws(DecodingError) -> [ReplicaID: NodeID] {
        guard !context.isEmpty else { return [:] }
        return try context.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
            var reader = ByteReader(UnsafeRawBufferPointer(buffer))
            let nodes = try readNodes(&reader)
            guard reader.isAtEnd else {
                throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes left over")
            }
            return nodes
        }
    }

    private static func append(_ nodes: [ReplicaID: NodeID], to bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(nodes.count))
        for (replica, node) in nodes.sorted(by: { $0.key < $1.key }) {
            bytes.append(varint: replica.rawValue)
            bytes.append(varint: node.rawValue)
        }
    }

    private static func readNodes(_ reader: inout ByteReader) throws(DecodingError) -> [ReplicaID: NodeID] {
        let count = try reader.readVarint()
        guard count <= 1_024 else { throw .invalid(offset: reader.offset, what: "\(count) replicas") }
        var nodes: [ReplicaID: NodeID] = [:]
        for _ in 0..<count { nodes[ReplicaID(try reader.readVarint())] = NodeID(try reader.readVarint()) }
        return nodes
    }

    /// The bytes that are stored.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(lengthPrefixed: configuration.encoded)
        Self.append(nodes, to: &bytes)
        return bytes
    }

    /// The membership that was stored as these bytes.
    /// - Throws: what is wrong with them.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        self = try bytes.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
            var reader = ByteReader(UnsafeRawBufferPointer(buffer))
            let configuration = try Configuration(decoding: Array(try reader.readLengthPrefixed()))
            let nodes = try Self.readNodes(&reader)
            guard reader.isAtEnd else {
                throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes left over")
            }
            return GroupMembership(configuration: configuration, nodes: nodes)
        }
    }
}
