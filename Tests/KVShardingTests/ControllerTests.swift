import KVBase
import KVSharding
import Testing

private func plan() throws -> ControllerCommand.Plan {
    let replicas = [ReplicaID(1): NodeID(1), ReplicaID(2): NodeID(2), ReplicaID(3): NodeID(3)]
    return ControllerCommand.Plan(
        cluster: ClusterID(high: 7, low: 9),
        featureLevel: 1,
        nodes: [
            NodeID(1): ["resp": "a:1", "http": "a:2"], NodeID(2): ["resp": "b:1"], NodeID(3): [:],
        ],
        groups: [.controller: replicas, GroupID(1): replicas],
        shardMap: try ShardMap(shardCount: 16, group: GroupID(1))
    )
}

private func initialized() throws -> ControllerState {
    var state = ControllerState()
    #expect(state.apply(.initialize(try plan())) == .applied)
    return state
}

private func decoded(_ bytes: [UInt8]) throws -> ControllerState {
    try bytes.withUnsafeBytes { (buffer) throws in try ControllerState(buffer) }
}

private func command(_ bytes: [UInt8]) throws -> ControllerCommand {
    try bytes.withUnsafeBytes { (buffer) throws in try ControllerCommand(buffer) }
}

@Test func `a cluster is initialized once`() throws {
    var state = try initialized()
    let before = state
    #expect(state.cluster == ClusterID(high: 7, low: 9))
    #expect(state.shardMap?.shardCount == 16)
    #expect(state.apply(.initialize(try plan())) == .unchanged)
    var other = try plan()
    other.cluster = ClusterID(high: 8, low: 9)
    guard case .refused = state.apply(.initialize(other)) else {
        Issue.record("a second cluster was taken")
        return
    }
    #expect(state == before)
}

@Test func `a node says where it is, and keeps its incarnation`() throws {
    var state = try initialized()
    let announced = ControllerCommand.nodeAnnounced(NodeID(2), Incarnation(5), addresses: ["resp": "b:9"])
    #expect(state.apply(announced) == .applied)
    #expect(state.apply(announced) == .unchanged)
    #expect(state.nodes[NodeID(2)]?.addresses == ["resp": "b:9"])
    guard case .refused = state.apply(.nodeAnnounced(NodeID(2), Incarnation(6), addresses: [:])),
        case .refused = state.apply(.nodeAnnounced(NodeID(4), Incarnation(6), addresses: [:]))
    else {
        Issue.record("another incarnation or an unknown node was taken")
        return
    }
    #expect(state.nodes[NodeID(2)]?.incarnation == Incarnation(5))
}

@Test func `nothing is announced before there is a cluster`() {
    var state = ControllerState()
    guard case .refused = state.apply(.nodeAnnounced(NodeID(1), Incarnation(6), addresses: [:])) else {
        Issue.record("taken")
        return
    }
    #expect(state == ControllerState())
}

@Test func `a plan that cannot work is refused`() throws {
    let good = try plan()
    #expect(good.fault == nil)
    var noNodes = good
    noNodes.nodes = [:]
    var noController = good
    noController.groups[.controller] = nil
    var strangerNode = good
    strangerNode.groups[GroupID(1)] = [ReplicaID(1): NodeID(9)]
    var twoOnOne = good
    twoOnOne.groups[GroupID(1)] = [ReplicaID(1): NodeID(1), ReplicaID(2): NodeID(1)]
    var noOwner = good
    noOwner.shardMap = try ShardMap(shardCount: 2, group: GroupID(2))
    for bad in [noNodes, noController, strangerNode, twoOnOne, noOwner] {
        var state = ControllerState()
        #expect(bad.fault != nil)
        guard case .refused = state.apply(.initialize(bad)) else {
            Issue.record("taken")
            return
        }
    }
}

@Test func `commands and states come back from their bytes`() throws {
    let commands: [ControllerCommand] = [
        .initialize(try plan()), .nodeAnnounced(NodeID(2), Incarnation(.max), addresses: ["resp": "b:9", "peer": "ü"]),
    ]
    var state = ControllerState()
    #expect(try decoded(state.encoded) == state)
    for item in commands {
        #expect(try command(item.encoded) == item)
        #expect(state.apply(item) == .applied)
        #expect(try decoded(state.encoded) == state)
    }
}

@Test func `no truncation or mutation of a command or state traps`() throws {
    var state = try initialized()
    _ = state.apply(.nodeAnnounced(NodeID(1), Incarnation(5), addresses: ["resp": "x"]))
    let commandBytes = ControllerCommand.initialize(try plan()).encoded
    for count in 0..<commandBytes.count {
        #expect(throws: DecodingError.self) { try command(Array(commandBytes[..<count])) }
    }
    for count in 0..<state.encoded.count {
        #expect(throws: DecodingError.self) { try decoded(Array(state.encoded[..<count])) }
    }
    var randomState: UInt64 = 0x5eed
    func next() -> UInt64 {
        randomState = randomState &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return randomState >> 33
    }
    for round in 0..<5000 {
        var bytes = round % 2 == 0 ? commandBytes : state.encoded
        for _ in 0..<2 { bytes[Int(next()) % bytes.count] = UInt8(truncatingIfNeeded: next()) }
        // What is read is valid or refused; either is fine, trapping is not.
        if var read = try? decoded(bytes) { _ = read.apply(.nodeAnnounced(NodeID(1), Incarnation(1), addresses: [:])) }
        if let read = try? command(bytes) {
            var fresh = ControllerState()
            _ = fresh.apply(read)
        }
    }
}
