import KVBase
import KVSharding
import Testing

/// Members as the controller's aim: added, promoted, replaced, removed.
struct MemberTests {
    private static func cluster(_ count: UInt64 = 3) throws -> ControllerState {
        let nodes = (1...count).map { NodeID($0) }
        let replicas = Dictionary(uniqueKeysWithValues: nodes.map { (ReplicaID($0.rawValue), $0) })
        var state = ControllerState()
        let plan = ControllerCommand.Plan(
            cluster: ClusterID(high: 7, low: 9),
            featureLevel: 1,
            nodes: Dictionary(uniqueKeysWithValues: nodes.map { ($0, ["peer": "n\($0):1"]) }),
            groups: [.controller: replicas, GroupID(1): replicas],
            shardMap: try ShardMap(shardCount: 4, group: GroupID(1))
        )
        #expect(state.apply(.initialize(plan)) == .applied)
        for node in nodes {
            #expect(state.apply(.nodeAnnounced(node, Incarnation(node.rawValue), addresses: [:])) == .applied)
        }
        return state
    }

    private func refused(_ outcome: ControllerState.Outcome) -> Bool {
        if case .refused = outcome { true } else { false }
    }

    @Test func `an added node has its replicas once it has said who it is, under ids that nobody had`() throws {
        var state = try Self.cluster()
        let add = ControllerCommand.nodeAdded(NodeID(4), isVoter: true, addresses: ["peer": "n4:1"])
        #expect(state.apply(add) == .applied)
        #expect(state.apply(add) == .unchanged)
        #expect(state.replicas(of: NodeID(4), Incarnation(44)) == nil)
        #expect(state.apply(.nodeAnnounced(NodeID(4), Incarnation(44), addresses: ["http": "x:1"])) == .applied)
        #expect(
            state.replicas(of: NodeID(4), Incarnation(44)) == [.controller: ReplicaID(4), GroupID(1): ReplicaID(4)]
        )
        #expect(state.nodes[NodeID(4)]?.addresses == ["peer": "n4:1", "http": "x:1"])
        // Another life of the same host gets nothing.
        #expect(refused(state.apply(.nodeAnnounced(NodeID(4), Incarnation(45), addresses: [:]))))
        #expect(state.replicas(of: NodeID(4), Incarnation(45)) == nil)
    }

    @Test func `a removed node is forgotten when its replicas are gone, and that life never comes back`() throws {
        var state = try Self.cluster()
        #expect(state.apply(.nodeRemoved(NodeID(3))) == .applied)
        #expect(state.apply(.nodeRemoved(NodeID(3))) == .unchanged)
        #expect(state.nodes[NodeID(3)]?.isLeaving == true)
        #expect(state.replicas(of: NodeID(3), Incarnation(3)) == nil)
        let gone = [GroupID.controller, GroupID(1)].map { ControllerCommand.Replica($0, ReplicaID(3)) }
        #expect(state.apply(.replicasGone(gone)) == .applied)
        #expect(state.nodes[NodeID(3)] == nil)
        #expect(state.isRemoved(NodeID(3), Incarnation(3)))
        #expect(state.apply(.nodeAdded(NodeID(3), isVoter: true, addresses: ["peer": "n3:1"])) == .applied)
        #expect(refused(state.apply(.nodeAnnounced(NodeID(3), Incarnation(3), addresses: [:]))))
        #expect(state.apply(.nodeAnnounced(NodeID(3), Incarnation(33), addresses: [:])) == .applied)
        #expect(state.replicas(of: NodeID(3), Incarnation(33))?[.controller] == ReplicaID(4))
    }

    @Test func `a host that lost its data takes its own place under another replica`() throws {
        var state = try Self.cluster()
        let replace = ControllerCommand.nodeReplaced(NodeID(2), by: NodeID(2), addresses: ["peer": "n2:1"])
        #expect(state.apply(replace) == .applied)
        #expect(state.isRemoved(NodeID(2), Incarnation(2)))
        #expect(state.apply(.nodeAnnounced(NodeID(2), Incarnation(22), addresses: [:])) == .applied)
        let placements = try #require(state.groups[GroupID(1)])
        #expect(placements[ReplicaID(2)]?.isLeaving == true)
        #expect(placements[ReplicaID(4)]?.replaces == ReplicaID(2))
        #expect(state.nodes[NodeID(2)]?.isLeaving == false)
        let gone = [GroupID.controller, GroupID(1)].map { ControllerCommand.Replica($0, ReplicaID(2)) }
        #expect(state.apply(.replicasGone(gone)) == .applied)
        #expect(state.nodes[NodeID(2)]?.incarnation == Incarnation(22))
        #expect(state.nodes[NodeID(2)]?.replaces == nil)
        #expect(state.groups[GroupID(1)]?[ReplicaID(4)]?.replaces == nil)
    }

    @Test func `a replaced node leaves only when the other one has its replicas`() throws {
        var state = try Self.cluster()
        #expect(state.apply(.nodeReplaced(NodeID(1), by: NodeID(6), addresses: ["peer": "n6:1"])) == .applied)
        #expect(state.nodes[NodeID(1)]?.isLeaving == false)
        #expect(state.apply(.nodeAnnounced(NodeID(6), Incarnation(66), addresses: [:])) == .applied)
        #expect(state.nodes[NodeID(1)]?.isLeaving == true)
        let gone = [GroupID.controller, GroupID(1)].map { ControllerCommand.Replica($0, ReplicaID(1)) }
        #expect(state.apply(.replicasGone(gone)) == .applied)
        #expect(state.nodes[NodeID(1)] == nil)
        #expect(state.voters == [NodeID(2), NodeID(3), NodeID(6)])
    }

    @Test func `what makes no sense is refused and changes nothing`() throws {
        var state = try Self.cluster(1)
        let before = state
        for command: ControllerCommand in [
            .nodeRemoved(NodeID(1)), .nodeRemoved(NodeID(9)), .nodePromoted(NodeID(9)),
            .nodeAdded(NodeID(1), isVoter: false, addresses: ["peer": "elsewhere:1"]),
            .nodeReplaced(NodeID(9), by: NodeID(4), addresses: [:]),
        ] {
            #expect(refused(state.apply(command)), "\(command)")
        }
        #expect(state.apply(.replicasGone([.init(.controller, ReplicaID(1))])) == .unchanged)
        #expect(state == before)
    }

    @Test func `the feature level rises to what all members support, once all were heard from, and never falls`() throws
    {
        var state = try Self.cluster()
        let ids = (1...3).map { NodeID($0) }
        #expect(state.rise(supported: [ids[0]: 3, ids[1]: 2]) == nil)
        #expect(state.rise(supported: [ids[0]: 3, ids[1]: 1, ids[2]: 3]) == nil)
        let rise = try #require(state.rise(supported: [ids[0]: 3, ids[1]: 2, ids[2]: 3, NodeID(9): 1]))
        #expect(rise == .levelRaised(2))
        #expect(try rise.encoded.withUnsafeBytes { (buffer) throws in try ControllerCommand(buffer) } == rise)
        #expect(state.apply(rise) == .applied)
        #expect(state.featureLevel == 2)
        #expect(state.apply(.levelRaised(1)) == .unchanged)
        #expect(state.featureLevel == 2)
    }

    @Test func `commands and states of members come back from their bytes`() throws {
        var state = try Self.cluster()
        let commands: [ControllerCommand] = [
            .nodeAdded(NodeID(4), isVoter: false, addresses: ["peer": "n4:1"]),
            .nodeAnnounced(NodeID(4), Incarnation(44), addresses: [:]), .nodePromoted(NodeID(4)),
            .nodeReplaced(NodeID(2), by: NodeID(2), addresses: ["peer": "n2:2"]),
            .nodeAnnounced(NodeID(2), Incarnation(22), addresses: [:]), .nodeRemoved(NodeID(3)),
            .replicasGone([.init(.controller, ReplicaID(3)), .init(GroupID(1), ReplicaID(3))]),
        ]
        for command in commands {
            let bytes = command.encoded
            #expect(try bytes.withUnsafeBytes { (buffer) throws in try ControllerCommand(buffer) } == command)
            #expect(state.apply(command) == .applied, "\(command)")
            let stored = state.encoded
            #expect(try stored.withUnsafeBytes { (buffer) throws in try ControllerState(buffer) } == state)
            for count in 0..<stored.count {
                #expect(throws: DecodingError.self) {
                    try Array(stored[..<count]).withUnsafeBytes { (buffer) throws in try ControllerState(buffer) }
                }
            }
        }
    }
}
