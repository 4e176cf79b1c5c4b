/// Whether a cluster is well, and if not, why.
public struct ClusterVerdict: Sendable, Equatable {
    /// What is wrong, worst first; empty where the cluster is healthy.
    public let reasons: [String]
    /// What was asked and is no part of the cluster, so that it decides nothing.
    public let notes: [String]

    /// Whether nothing is wrong.
    public var isHealthy: Bool { reasons.isEmpty }

    /// Judges the answers of all nodes: each must answer, be ready and raise no alarm, all must be of one cluster, and each group
    /// must have exactly one leader in its highest term.
    ///
    /// A node that was removed, and an endpoint that does not answer and is no member's, are noted and decide nothing.
    public init(_ answers: [NodeAnswer<NodeStatus>]) {
        var reasons: [String] = []
        var notes: [String] = []
        var statuses: [NodeStatus] = []
        var down: [String] = []
        let strangers = Self.strangers(answers)
        for answer in answers {
            switch answer.result {
            case .success(let status) where status.isRemoved:
                notes.append("node \(status.node) (\(answer.endpoint)) was removed from the cluster; it can be stopped")
            case .success(let status): statuses.append(status)
            case .failure where strangers.contains(answer.endpoint):
                notes.append(
                    "\(answer.endpoint) does not answer and belongs to no member: leave it out of the endpoints"
                )
            case .failure(let error): down.append("\(answer.endpoint) does not answer (\(error))")
            }
        }
        if answers.isEmpty { reasons.append("no node was asked") }
        if statuses.isEmpty && !answers.isEmpty {
            reasons.append(notes.isEmpty ? "no node answers" : "no node that is a member answers")
        }

        let clusters = Set(statuses.map(\.cluster))
        if clusters.count > 1 {
            reasons.append("the nodes belong to different clusters: \(clusters.sorted().joined(separator: ", "))")
        }
        reasons += Self.leadership(statuses)
        reasons += down
        for status in statuses {
            if !status.isReady { reasons.append("node \(status.node) is not ready") }
            reasons += status.alarms.map { "node \(status.node): \($0)" }
        }
        // A peer that was not asked itself still counts as a member.
        let asked = Set(statuses.map(\.node))
        let answeredDown = !down.isEmpty
        for peer in statuses.flatMap(\.peers) where !peer.isConnected && !asked.contains(peer.id) && !answeredDown {
            let text = "node \(peer.id) is not connected"
            if !reasons.contains(text) { reasons.append(text) }
        }
        self.reasons = reasons
        self.notes = notes
    }

    /// The endpoints that do not answer and are no member's, as members who do answer know; none where that is not certain.
    private static func strangers(_ answers: [NodeAnswer<NodeStatus>]) -> Set<Endpoint> {
        let statuses = answers.compactMap { try? $0.result.get() }.filter { !$0.isRemoved }
        guard !statuses.isEmpty else { return [] }
        let present = Set(statuses.map(\.node))
        var addresses: [String: Endpoint] = [:]
        var absent: Set<String> = []
        for peer in statuses.flatMap(\.peers) where !present.contains(peer.id) {
            absent.insert(peer.id)
            addresses[peer.id] = peer.addresses["http"].flatMap { Endpoint($0) } ?? addresses[peer.id]
        }
        // One of whom no address is known may be any of those that do not answer.
        guard absent.allSatisfy({ addresses[$0] != nil }) else { return [] }
        let silent = answers.filter { if case .failure = $0.result { true } else { false } }.map(\.endpoint)
        return Set(silent).subtracting(addresses.values)
    }

    private static func leadership(_ statuses: [NodeStatus]) -> [String] {
        var reasons: [String] = []
        let groups = Set(statuses.flatMap { $0.groups.map(\.id) })
        for id in groups.sorted(by: { (UInt64($0) ?? .max, $0) < (UInt64($1) ?? .max, $1) }) {
            let replicas = statuses.flatMap { status in
                status.groups.filter { $0.id == id }.map { (node: status.node, group: $0) }
            }
            let term = replicas.map(\.group.term).max() ?? 0
            let leaders = replicas.filter { $0.group.role == "leader" && $0.group.term == term }
            // A leader that did not answer may still lead: then a majority that knows it by name does so in the highest term.
            let named = replicas.contains { replica in
                guard let leader = replica.group.leader, replica.group.term == term else { return false }
                return !statuses.contains { $0.node == leader }
            }
            if leaders.isEmpty && !named { reasons.append("group \(id) has no leader") }
            if leaders.count > 1 {
                reasons.append("group \(id) has \(leaders.count) leaders in term \(term)")
            }
        }
        return reasons
    }
}
