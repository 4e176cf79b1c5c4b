import KVBase
import KVNode
import KVService
import KVSimulation

/// An administrator who changes the members of a cluster at random: adds, removes and replaces hosts, wiped ones too, and hands
/// leadership over. It asks the leader of group 0 and goes by what that says.
///
// SENDABLE: the simulator runs in one thread.
final class MemberDriver: @unchecked Sendable {
    private let world: SimulatedWorld
    private let cluster: SimulatedCluster
    private let randomness: SeededRandomness
    private var isStopped = false
    private var ended: UInt64 = 0
    /// Who is a member, as the leader of group 0 said last.
    private(set) var members: Set<NodeID>
    private(set) var changes = 0
    private(set) var changesDone = 0
    private(set) var transfers = 0
    private var isOpen = false
    /// How the members stood last, for a failed run.
    private(set) var lastSeen = "never seen"
    /// Hosts whose change was not said to be accepted.
    private var uncertain: Set<NodeID> = []
    private var wasSteady = false

    init(_ world: SimulatedWorld, _ cluster: SimulatedCluster) {
        self.world = world
        self.cluster = cluster
        randomness = world.randomness.split()
        members = Set(cluster.hosts.filter(\.isWanted).map(\.id))
    }

    /// Whether all changes are carried out; what was asked at the very end may still be on its way for a while.
    var isSteady: Bool { isStopped && wasSteady && world.now > ended + 3_000_000_000 }

    func begin() {
        look()
        act()
    }

    /// No new changes; it looks on until all are carried out.
    func end() {
        isStopped = true
        ended = world.now
        wasSteady = false
    }

    private func act() {
        world.after(200_000_000 + UInt64(randomness.below(1_200_000_000))) { [self] in
            guard !isStopped else { return }
            if randomness.chance(0.4) { transfer() } else { change() }
            act()
        }
    }

    private func transfer() {
        let live = cluster.live
        guard !live.isEmpty, let node = live[randomness.below(live.count)].node else { return }
        node.transferLeadership(of: nil, to: nil) { [self] result in
            if case .success(let done) = result { transfers += done.filter { $0.leader == $0.target }.count }
        }
    }

    // MARK: Changes

    private func change() {
        guard !isOpen else { return }
        let present = members.sorted()
        let absent = cluster.hosts.map(\.id).filter { !members.contains($0) }
        let one = present[randomness.below(present.count)]
        switch randomness.below(4) {
        case 0:
            if let new = absent.first {
                bring(new, .add(new, peerAddress: SimulatedCluster.address(new), staysLearner: false))
            }
        case 1:
            if present.count > 1 { ask(.remove(one)) { _ in } }
        case 2:
            if let new = absent.last { bring(new, .replace(one, by: new, peerAddress: SimulatedCluster.address(new))) }
        default:
            // It loses its data, at the very moment in which it is replaced by itself.
            guard present.count > 2 else { return }
            bring(one, .replace(one, by: one, peerAddress: SimulatedCluster.address(one)))
        }
    }

    /// Asks for a change that brings a host, which starts with an empty disk once the change is accepted.
    private func bring(_ id: NodeID, _ change: MemberChange) {
        // Where the answer is lost, the leader's list tells.
        let wasUncertain = !uncertain.insert(id).inserted
        ask(change) { [self] error in
            if error == nil, uncertain.contains(id) { restart(id) }
            // A clear refusal of this order says nothing of an earlier one.
            if let code = error?.code, [.conflict, .notFound, .notLeader].contains(code), !wasUncertain {
                uncertain.remove(id)
            }
        }
    }

    private func restart(_ id: NodeID) {
        uncertain.remove(id)
        let host = cluster.host(id)
        // It was started for an earlier order and asks to join: the leader may have written down already which life it is.
        if host.isWanted, host.node == nil, host.domain != nil, !members.contains(id) { return }
        cluster.wipe(host)
        host.isFounder = false
        host.isWanted = true
        cluster.start(host)
    }

    private func ask(_ change: MemberChange, _ completion: @escaping @Sendable (ServiceError?) -> Void) {
        guard let leader else { return completion(ServiceError(.notLeader, "nobody leads")) }
        leader.change(change) { [self] result in
            var error: ServiceError?
            switch result {
            case .success(true): error = nil
            case .success(false): error = ServiceError(.conflict, "it is so already")
            case .failure(let found): error = found
            }
            if error == nil {
                changes += 1
                isOpen = true
                wasSteady = false
            }
            completion(error)
        }
    }

    // MARK: Looking

    /// The node that leads group 0 in the highest term.
    private var leader: Node? {
        cluster.live.compactMap { host in
            host.node.flatMap { node in node.reigns.first { $0.group == .controller }.map { (node, $0.term) } }
        }.max { $0.1 < $1.1 }?.0
    }

    private func look() {
        world.after(100_000_000) { [self] in
            guard let leader else { return look() }
            leader.members { [self] result in
                guard case .success(let known) = result else { return }
                members = Set(known.members.filter { $0.state != .awaited }.map(\.id))
                lastSeen = known.members.map { member in
                    "member \(member.id) \(member.state.rawValue) \(member.replicas.map { "\($0.group):\($0.role)#\($0.replica)" })"
                }.joined(separator: "; ")
                // Refused as far as was known, and yet it came about.
                for member in known.members where member.state == .awaited && uncertain.contains(member.id) {
                    restart(member.id)
                }
                wasSteady = known.members.allSatisfy { $0.state == .steady }
                if !wasSteady { isOpen = true }
                if wasSteady, isOpen {
                    isOpen = false
                    changesDone += 1
                }
            }
            look()
        }
    }
}
