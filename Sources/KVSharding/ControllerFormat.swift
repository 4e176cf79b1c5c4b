package import KVBase

// What group 0 logs and stores. docs/formats/controller.md
//
//   command      u8 number · fields
//     1 initialize      u64 cluster high · u64 cluster low · varint feature level · nodes · groups · shard map
//     2 node announced  varint node · u64 incarnation · addresses
//     3 node added      varint node · u8 is voter · addresses
//     4 node promoted   varint node
//     5 node removed    varint node
//     6 node replaced   varint old node · varint new node · addresses
//     7 replicas gone   varint count · per replica: varint group · varint replica
//     8 level raised    varint feature level
//   state        u8 version 2 · u8 initialized · where 1: u64 cluster high · u64 cluster low · varint feature level ·
//                varint count, per node: varint node · u8 flags (1 has incarnation, 2 voter, 4 leaving, 8 replaces)
//                [· u64 incarnation] [· varint replaces] · addresses · placements · varint next replica · removed · shard map
//   placements   varint count · per group: varint group · varint count · per replica: varint replica · varint node ·
//                u8 flags (1 has incarnation, 4 leaving, 8 replaces) [· u64 incarnation] [· varint replaces]
//   removed      varint count · per node: varint node · varint count · per life: u64 incarnation, in the order of removal
//   state v1     (read only) per node: varint node · u8 has incarnation [· u64 incarnation] · addresses; groups in place of placements;
//                neither next replica nor removed
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

    /// The most lives of one node that were removed.
    package static let removedMax = 1024

    static let stateVersion: UInt8 = 2
    static let stateVersionMin: UInt8 = 1
    static let initialize: UInt8 = 1
    static let nodeAnnounced: UInt8 = 2
    static let nodeAdded: UInt8 = 3
    static let nodePromoted: UInt8 = 4
    static let nodeRemoved: UInt8 = 5
    static let nodeReplaced: UInt8 = 6
    static let replicasGone: UInt8 = 7
    static let levelRaised: UInt8 = 8

    enum Flag {
        static let hasIncarnation: UInt8 = 1
        static let isVoter: UInt8 = 2
        static let isLeaving: UInt8 = 4
        static let replaces: UInt8 = 8
        static let all: UInt8 = 15
    }
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
        case .nodeAdded(let node, let isVoter, let addresses):
            bytes.append(ControllerFormat.nodeAdded)
            bytes.append(varint: node.rawValue)
            bytes.append(isVoter ? 1 : 0)
            bytes.append(addresses)
        case .nodePromoted(let node):
            bytes.append(ControllerFormat.nodePromoted)
            bytes.append(varint: node.rawValue)
        case .nodeRemoved(let node):
            bytes.append(ControllerFormat.nodeRemoved)
            bytes.append(varint: node.rawValue)
        case .nodeReplaced(let old, let new, let addresses):
            bytes.append(ControllerFormat.nodeReplaced)
            bytes.append(varint: old.rawValue)
            bytes.append(varint: new.rawValue)
            bytes.append(addresses)
        case .replicasGone(let replicas):
            bytes.append(ControllerFormat.replicasGone)
            bytes.append(varint: UInt64(replicas.count))
            for gone in replicas {
                bytes.append(varint: UInt64(gone.group.rawValue))
                bytes.append(varint: gone.replica.rawValue)
            }
        case .levelRaised(let level):
            bytes.append(ControllerFormat.levelRaised)
            bytes.append(varint: UInt64(level))
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
        case ControllerFormat.nodeAdded:
            let node = NodeID(try reader.readVarint())
            let isVoter = try reader.readFlag()
            self = .nodeAdded(node, isVoter: isVoter, addresses: try reader.readAddresses())
        case ControllerFormat.nodePromoted: self = .nodePromoted(NodeID(try reader.readVarint()))
        case ControllerFormat.nodeRemoved: self = .nodeRemoved(NodeID(try reader.readVarint()))
        case ControllerFormat.nodeReplaced:
            let old = NodeID(try reader.readVarint())
            let new = NodeID(try reader.readVarint())
            self = .nodeReplaced(old, by: new, addresses: try reader.readAddresses())
        case ControllerFormat.replicasGone:
            let countMax = ControllerFormat.groupsMax * ControllerFormat.replicasMax
            var replicas: [Replica] = []
            for _ in 0..<(try reader.readCount(atMost: countMax, "replicas")) {
                let group = try reader.readGroup()
                replicas.append(Replica(group, ReplicaID(try reader.readVarint())))
            }
            self = .replicasGone(replicas)
        case ControllerFormat.levelRaised: self = .levelRaised(try reader.readFeatureLevel())
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
            var flags = node.isVoter ? ControllerFormat.Flag.isVoter : 0
            if node.isLeaving { flags |= ControllerFormat.Flag.isLeaving }
            bytes.append(flags, node.incarnation, node.replaces?.rawValue)
            bytes.append(node.addresses)
        }
        bytes.append(varint: UInt64(groups.count))
        for (group, replicas) in groups.sorted(by: { $0.key < $1.key }) {
            bytes.append(varint: UInt64(group.rawValue))
            bytes.append(varint: UInt64(replicas.count))
            for (replica, placement) in replicas.sorted(by: { $0.key < $1.key }) {
                bytes.append(varint: replica.rawValue)
                bytes.append(varint: placement.node.rawValue)
                let flags = placement.isLeaving ? ControllerFormat.Flag.isLeaving : 0
                bytes.append(flags, placement.incarnation, placement.replaces?.rawValue)
            }
        }
        bytes.append(varint: nextReplica)
        bytes.append(varint: UInt64(removed.count))
        for (id, lives) in removed.sorted(by: { $0.key < $1.key }) {
            bytes.append(varint: id.rawValue)
            bytes.append(varint: UInt64(lives.count))
            for life in lives { bytes.append(littleEndian: life.rawValue) }
        }
        shardMap.encode(into: &bytes)
        return bytes
    }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for what no encoder writes.
    package init(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard (ControllerFormat.stateVersionMin...ControllerFormat.stateVersion).contains(version) else {
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
            var (flags, incarnation, replaces) = try reader.readFlags()
            if version == 1 { flags = ControllerFormat.Flag.isVoter }
            var node = Node(incarnation: incarnation, addresses: try reader.readAddresses())
            node.isVoter = flags & ControllerFormat.Flag.isVoter != 0
            node.isLeaving = flags & ControllerFormat.Flag.isLeaving != 0
            node.replaces = replaces.map { NodeID($0) }
            nodes[id] = node
        }
        let groups: [GroupID: [ReplicaID: Placement]]
        var nextReplica: UInt64
        var removed: [NodeID: [Incarnation]] = [:]
        if version == 1 {
            groups = try reader.readGroups().mapValues { $0.mapValues { Placement(node: $0) } }
            nextReplica = (groups.values.flatMap(\.keys).map(\.rawValue).max() ?? 0) + 1
        } else {
            groups = try reader.readPlacements()
            nextReplica = try reader.readVarint()
            guard nextReplica > 0, nextReplica < 1 << 62 else {
                throw .invalid(offset: reader.offset, what: "next replica \(nextReplica)")
            }
            removed = try reader.readRemoved()
        }
        let map = try ShardMap(&reader)
        try reader.expectEnd()
        self.init(
            cluster: cluster,
            nodes: nodes,
            groups: groups,
            nextReplica: nextReplica,
            removed: removed,
            shardMap: map,
            featureLevel: featureLevel
        )
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ flags: UInt8, _ incarnation: Incarnation?, _ replaces: UInt64?) {
        var flags = flags
        if incarnation != nil { flags |= ControllerFormat.Flag.hasIncarnation }
        if replaces != nil { flags |= ControllerFormat.Flag.replaces }
        append(flags)
        if let incarnation { append(littleEndian: incarnation.rawValue) }
        if let replaces { append(varint: replaces) }
    }

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
    fileprivate mutating func readFlags() throws(DecodingError) -> (UInt8, Incarnation?, UInt64?) {
        let flags = try readByte()
        guard flags <= ControllerFormat.Flag.all else { throw .invalid(offset: offset - 1, what: "flags \(flags)") }
        var incarnation: Incarnation?
        var replaces: UInt64?
        if flags & ControllerFormat.Flag.hasIncarnation != 0 { incarnation = Incarnation(try readLittleEndian()) }
        if flags & ControllerFormat.Flag.replaces != 0 { replaces = try readVarint() }
        return (flags, incarnation, replaces)
    }

    fileprivate mutating func readPlacements() throws(DecodingError) -> [GroupID: [ReplicaID: ControllerState
        .Placement]]
    {
        var groups: [GroupID: [ReplicaID: ControllerState.Placement]] = [:]
        var lastGroup: UInt64?
        for _ in 0..<(try readCount(atMost: ControllerFormat.groupsMax, "groups")) {
            let start = offset
            let number = try readAscending(&lastGroup, "group")
            guard let group = UInt32(exactly: number) else { throw .invalid(offset: start, what: "group \(number)") }
            var replicas: [ReplicaID: ControllerState.Placement] = [:]
            var lastReplica: UInt64?
            for _ in 0..<(try readCount(atMost: ControllerFormat.replicasMax, "replicas")) {
                let replica = ReplicaID(try readAscending(&lastReplica, "replica"))
                var placement = ControllerState.Placement(node: NodeID(try readVarint()))
                let (flags, incarnation, replaces) = try readFlags()
                placement.incarnation = incarnation
                placement.isLeaving = flags & ControllerFormat.Flag.isLeaving != 0
                placement.replaces = replaces.map { ReplicaID($0) }
                replicas[replica] = placement
            }
            groups[GroupID(group)] = replicas
        }
        return groups
    }

    fileprivate mutating func readRemoved() throws(DecodingError) -> [NodeID: [Incarnation]] {
        var removed: [NodeID: [Incarnation]] = [:]
        var last: UInt64?
        for _ in 0..<(try readCount(atMost: ControllerFormat.nodesMax, "removed nodes")) {
            let node = NodeID(try readAscending(&last, "node"))
            var lives: [Incarnation] = []
            for _ in 0..<(try readCount(atMost: ControllerFormat.removedMax, "lives")) {
                lives.append(Incarnation(try readLittleEndian()))
            }
            removed[node] = lives
        }
        return removed
    }

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
