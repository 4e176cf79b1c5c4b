package import KVBase

// What group 0 logs and stores. docs/formats/controller.md
//
//   command      u8 number · fields
//     1 initialize      u64 cluster high · u64 cluster low · varint feature level · nodes · groups · shard map
//     2 node announced  varint node · u64 incarnation · addresses
//   state        u8 version 1 · u8 initialized · where 1: u64 cluster high · u64 cluster low · varint feature level ·
//                varint count, per node: varint node · u8 has incarnation [· u64 incarnation] · addresses · groups · shard map
//   nodes        varint count · per node: varint node · addresses
//   groups       varint count · per group: varint group · varint count · per replica: varint replica · varint node
//   addresses    varint count · per address: text edge · text address
//   text         varint length · UTF-8
//
// Lists are ascending by their first field, without repetition, so that equal states have equal bytes.

/// The bounds of the format.
package enum ControllerFormat {
    /// The greatest number of nodes.
    package static let nodesMax = 1024
    /// The greatest number of groups.
    package static let groupsMax = 4096
    /// The greatest number of replicas of a group.
    package static let replicasMax = 64
    /// The greatest number of addresses of a node.
    package static let addressesMax = 16
    /// The longest edge name or address in bytes.
    package static let textBytesMax = 512

    static let stateVersion: UInt8 = 1
    static let initialize: UInt8 = 1
    static let nodeAnnounced: UInt8 = 2
}

extension ControllerCommand {
    /// The command's bytes: the payload of a group 0 entry.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .initialize(let plan):
            bytes.append(ControllerFormat.initialize)
            bytes.append(plan.cluster)
            bytes.append(varint: UInt64(plan.featureLevel))
            bytes.append(varint: UInt64(plan.nodes.count))
            for (node, addresses) in plan.nodes.sorted(by: { $0.key < $1.key }) {
                bytes.append(varint: node.rawValue)
                bytes.append(addresses)
            }
            bytes.append(plan.groups)
            plan.shardMap.encode(into: &bytes)
        case .nodeAnnounced(let node, let incarnation, let addresses):
            bytes.append(ControllerFormat.nodeAnnounced)
            bytes.append(varint: node.rawValue)
            bytes.append(littleEndian: incarnation.rawValue)
            bytes.append(addresses)
        }
        return bytes
    }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for what no encoder writes.
    package init(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let number = try reader.readByte()
        switch number {
        case ControllerFormat.initialize:
            let cluster = try reader.readCluster()
            let featureLevel = try reader.readFeatureLevel()
            var nodes: [NodeID: [String: String]] = [:]
            var last: UInt64?
            for _ in 0..<(try reader.readCount(atMost: ControllerFormat.nodesMax, "nodes")) {
                let node = NodeID(try reader.readAscending(&last, "node"))
                nodes[node] = try reader.readAddresses()
            }
            let groups = try reader.readGroups()
            let map = try ShardMap(&reader)
            self = .initialize(
                Plan(cluster: cluster, featureLevel: featureLevel, nodes: nodes, groups: groups, shardMap: map)
            )
        case ControllerFormat.nodeAnnounced:
            let node = NodeID(try reader.readVarint())
            let incarnation = Incarnation(try reader.readLittleEndian())
            self = .nodeAnnounced(node, incarnation, addresses: try reader.readAddresses())
        default: throw .invalid(offset: 0, what: "controller command \(number)")
        }
        try reader.expectEnd()
    }
}

extension ControllerState {
    /// The state's bytes, equal for equal states.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = [ControllerFormat.stateVersion]
        guard let cluster, let shardMap else { return bytes + [0] }
        bytes.append(1)
        bytes.append(cluster)
        bytes.append(varint: UInt64(featureLevel))
        bytes.append(varint: UInt64(nodes.count))
        for (id, node) in nodes.sorted(by: { $0.key < $1.key }) {
            bytes.append(varint: id.rawValue)
            bytes.append(node.incarnation == nil ? 0 : 1)
            if let incarnation = node.incarnation { bytes.append(littleEndian: incarnation.rawValue) }
            bytes.append(node.addresses)
        }
        bytes.append(groups)
        shardMap.encode(into: &bytes)
        return bytes
    }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for what no encoder writes.
    package init(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard version == ControllerFormat.stateVersion else {
            throw .invalid(offset: 0, what: "state version \(version)")
        }
        guard try reader.readFlag() else {
            try reader.expectEnd()
            self.init()
            return
        }
        let cluster = try reader.readCluster()
        let featureLevel = try reader.readFeatureLevel()
        var nodes: [NodeID: Node] = [:]
        var last: UInt64?
        for _ in 0..<(try reader.readCount(atMost: ControllerFormat.nodesMax, "nodes")) {
            let id = NodeID(try reader.readAscending(&last, "node"))
            var incarnation: Incarnation?
            if try reader.readFlag() { incarnation = Incarnation(try reader.readLittleEndian()) }
            nodes[id] = Node(incarnation: incarnation, addresses: try reader.readAddresses())
        }
        let groups = try reader.readGroups()
        let map = try ShardMap(&reader)
        try reader.expectEnd()
        self.init(cluster: cluster, nodes: nodes, groups: groups, shardMap: map, featureLevel: featureLevel)
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ cluster: ClusterID) {
        append(littleEndian: cluster.high)
        append(littleEndian: cluster.low)
    }

    fileprivate mutating func append(_ addresses: [String: String]) {
        append(varint: UInt64(addresses.count))
        for (edge, address) in addresses.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            append(lengthPrefixed: Array(edge.utf8))
            append(lengthPrefixed: Array(address.utf8))
        }
    }

    fileprivate mutating func append(_ groups: [GroupID: [ReplicaID: NodeID]]) {
        append(varint: UInt64(groups.count))
        for (group, replicas) in groups.sorted(by: { $0.key < $1.key }) {
            append(varint: UInt64(group.rawValue))
            append(varint: UInt64(replicas.count))
            for (replica, node) in replicas.sorted(by: { $0.key < $1.key }) {
                append(varint: replica.rawValue)
                append(varint: node.rawValue)
            }
        }
    }
}

extension ByteReader {
    fileprivate mutating func readCluster() throws(DecodingError) -> ClusterID {
        let high: UInt64 = try readLittleEndian()
        return ClusterID(high: high, low: try readLittleEndian())
    }

    fileprivate mutating func readFeatureLevel() throws(DecodingError) -> UInt32 {
        let start = offset
        let level = try readVarint()
        guard let level = UInt32(exactly: level) else { throw .invalid(offset: start, what: "feature level \(level)") }
        return level
    }

    fileprivate mutating func readFlag() throws(DecodingError) -> Bool {
        let byte = try readByte()
        guard byte < 2 else { throw .invalid(offset: offset - 1, what: "flag \(byte)") }
        return byte == 1
    }

    fileprivate mutating func readAscending(_ last: inout UInt64?, _ what: String) throws(DecodingError) -> UInt64 {
        let start = offset
        let number = try readVarint()
        if let last, number <= last { throw .invalid(offset: start, what: "\(what) \(number) after \(last)") }
        last = number
        return number
    }

    fileprivate mutating func readAddresses() throws(DecodingError) -> [String: String] {
        var addresses: [String: String] = [:]
        var last: [UInt8]?
        for _ in 0..<(try readCount(atMost: ControllerFormat.addressesMax, "addresses")) {
            let start = offset
            let edge = try readText(atMost: ControllerFormat.textBytesMax)
            if let last, !last.lexicographicallyPrecedes(edge.utf8) {
                throw .invalid(offset: start, what: "addresses out of order")
            }
            last = Array(edge.utf8)
            addresses[edge] = try readText(atMost: ControllerFormat.textBytesMax)
        }
        return addresses
    }

    fileprivate mutating func readGroups() throws(DecodingError) -> [GroupID: [ReplicaID: NodeID]] {
        var groups: [GroupID: [ReplicaID: NodeID]] = [:]
        var lastGroup: UInt64?
        for _ in 0..<(try readCount(atMost: ControllerFormat.groupsMax, "groups")) {
            let start = offset
            let number = try readAscending(&lastGroup, "group")
            guard let group = UInt32(exactly: number) else { throw .invalid(offset: start, what: "group \(number)") }
            var replicas: [ReplicaID: NodeID] = [:]
            var lastReplica: UInt64?
            for _ in 0..<(try readCount(atMost: ControllerFormat.replicasMax, "replicas")) {
                let replica = ReplicaID(try readAscending(&lastReplica, "replica"))
                replicas[replica] = NodeID(try readVarint())
            }
            groups[GroupID(group)] = replicas
        }
        return groups
    }

    fileprivate func expectEnd() throws(DecodingError) {
        guard isAtEnd else { throw .invalid(offset: offset, what: "\(remaining) bytes left over") }
    }
}
