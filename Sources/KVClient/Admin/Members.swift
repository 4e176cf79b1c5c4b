import Foundation

/// Who belongs to the cluster, as one node knows it.
public struct ClusterMembers: Sendable, Equatable, Codable {
    /// A host.
    public struct Member: Sendable, Equatable, Codable {
        /// The host's id.
        public var id: String
        /// The life of its data directory, once it was heard from.
        public var incarnation: String?
        /// `voter` or `learner`, as it is to be.
        public var role: String
        /// `steady`, `awaited`, `catching_up` or `leaving`.
        public var state: String
        /// Whether the node that says this is connected to it, or is it.
        public var isReachable: Bool
        /// Its addresses by edge, and `peer`.
        public var addresses: [String: String]
        /// Its part in each group.
        public var replicas: [Replica]

        /// Reads what is there; a missing member has its empty value.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: MemberName.self)
            id = container.text("id") ?? ""
            incarnation = container.text("incarnation")
            role = container.text("role") ?? ""
            state = container.text("state") ?? ""
            isReachable = container.flag("reachable")
            let addresses = try container.decodeIfPresent([String: LooseText].self, forKey: MemberName("addresses"))
            self.addresses = (addresses ?? [:]).mapValues(\.text)
            replicas = try container.list("replicas")
        }

        /// Whether nothing is under way.
        public var isSteady: Bool { state == "steady" }
    }

    /// A member's part in a group.
    public struct Replica: Sendable, Equatable, Codable {
        /// The group.
        public var group: String
        /// The replica's id in it.
        public var replica: String
        /// `voter`, `learner`, `outgoing` or `planned`.
        public var role: String
        /// How many entries it is behind, where the node that says this knows it.
        public var lag: UInt64?

        /// Reads what is there; a missing member has its empty value.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: MemberName.self)
            group = container.text("group") ?? ""
            replica = container.text("replica") ?? ""
            role = container.text("role") ?? ""
            lag = container.text("lag").flatMap { UInt64($0) }
        }
    }

    /// The cluster.
    public var cluster: String
    /// The node that takes changes, where known.
    public var leader: String?
    /// Its members by id.
    public var members: [Member]

    /// Reads what is there; a missing member has its empty value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: MemberName.self)
        cluster = container.text("cluster") ?? ""
        leader = container.text("leader")
        members = try container.list("members")
    }
}

/// A group's leadership that was handed over, or was to be.
public struct LeadershipTransfer: Sendable, Equatable, Codable {
    /// The group.
    public var group: String
    /// Who was asked to lead.
    public var target: String
    /// Who leads now, as far as the node knows that handed over.
    public var leader: String?
}

extension KVClient {
    /// How many nodes are asked for the members at most, those that were named and those that they name.
    private static let membersAskedMax = 64
    /// How many entries a member may be behind and still be caught up: the bound from which on nodes make a learner a voter.
    private static let lagMax: UInt64 = 256

    /// Who belongs to the cluster, as the node knows it that takes changes, or else any that answers.
    ///
    /// A node that was removed does not say, and one that was cut off may say what was so long ago: each that answers is asked who
    /// takes changes, until one says that it does itself.
    /// - Throws: `ClientError` where no node answers before the request timeout.
    public func members() async throws(ClientError) -> ClusterMembers {
        try await members(until: ContinuousClock.now + configuration.requestTimeout)
    }

    private func members(until deadline: ContinuousClock.Instant) async throws(ClientError) -> ClusterMembers {
        var last: ClientError = .invalidArgument("no HTTP endpoint was given")
        var heard: ClusterMembers?
        var asked: Set<Endpoint> = []
        for given in configuration.httpEndpoints {
            var next: Endpoint? = given
            var expected: String?
            while let endpoint = next, asked.count < Self.membersAskedMax, ContinuousClock.now < deadline,
                asked.insert(endpoint).inserted
            {
                next = nil
                do throws(ClientError) {
                    let limit = min(left(deadline), configuration.connectTimeout * 2)
                    let answer = try await http.fetch("/admin/v1/members", from: endpoint, within: limit)
                    let known: ClusterMembers = try Self.decode(answer, endpoint)
                    heard = heard ?? known
                    guard let leader = known.members.first(where: { $0.id == known.leader }),
                        let address = leader.addresses["http"].flatMap({ Endpoint($0) })
                    else { continue }
                    if address == endpoint || leader.id == expected { return known }
                    (next, expected) = (address, leader.id)
                } catch {
                    last = error
                }
            }
        }
        // Nobody takes changes now: what one knows is better than nothing.
        if let heard { return heard }
        throw last
    }

    /// Whether a member can be reached and holds nearly all that the leaders of its groups have, as they say.
    public func hasCaughtUp(_ member: ClusterMembers.Member) async -> Bool {
        guard member.isReachable, !member.replicas.isEmpty else { return false }
        let answers = await status(within: min(configuration.requestTimeout, configuration.connectTimeout * 2))
        let groups = answers.compactMap { try? $0.result.get() }.filter { !$0.isRemoved }.flatMap(\.groups)
        return member.replicas.allSatisfy { replica in
            let leaders = groups.filter { $0.id == replica.group && $0.role == "leader" }
            guard let leader = leaders.max(by: { $0.term < $1.term }), let lag = leader.lag[member.id] else {
                return false
            }
            // One that lacks all of a short log has nothing yet.
            return lag <= Self.lagMax && lag < leader.lastIndex
        }
    }

    /// The id of the member that is meant: one with this id, else the only one of which an address or the incarnation begins so.
    ///
    /// A number is an id and nothing else, so that a command for a member that is gone never finds another; of the incarnation at
    /// least four letters are to be given.
    /// - Throws: `.httpStatus(404, …)` where none or several are; the message names them.
    public func memberID(like text: String) async throws(ClientError) -> String {
        let all = try await members().members
        if all.contains(where: { $0.id == text }) { return text }
        let mayBegin = !text.isEmpty && !text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        let found = all.filter { member in
            mayBegin
                && (member.addresses.values.contains { $0.hasPrefix(text) }
                    || (text.utf8.count >= 4 && member.incarnation?.hasPrefix(text) == true))
        }
        if found.count == 1 { return found[0].id }
        let names = (found.isEmpty ? all : found).map(\.id).joined(separator: ", ")
        throw .httpStatus(
            404,
            message: found.isEmpty
                ? "not_found: node \(text) is no member; members are \(names)"
                : "not_found: '\(text)' may be any of the nodes \(names)"
        )
    }

    /// Adds a host that its peers reach at `peerAddress`; it is a voter once it has caught up, unless it is to stay a learner.
    ///
    /// Returns when the change is written down. The same again is no error; as with all changes, false says that it is so already.
    /// - Throws: `ClientError`; `.httpStatus(409, …)` where the change does not go with how things stand.
    @discardableResult
    public func addMember(
        _ id: String,
        peerAddress: String,
        staysLearner: Bool = false
    ) async throws(ClientError) -> Bool {
        let body = ["id": id, "peer": peerAddress, "role": staysLearner ? "learner" : "voter"]
        return try await change("POST", "/admin/v1/members", body)
    }

    /// Makes a learner a voter.
    /// - Throws: `ClientError`; `.httpStatus(404, …)` where there is no such member.
    @discardableResult
    public func promoteMember(_ id: String) async throws(ClientError) -> Bool {
        try await change("POST", "/admin/v1/members/\(Self.pathPart(id))/promote", [:])
    }

    /// Takes a host out of the cluster.
    /// - Throws: `ClientError`; `.httpStatus(409, …)` where no majority would be left.
    @discardableResult
    public func removeMember(_ id: String) async throws(ClientError) -> Bool {
        try await change("DELETE", "/admin/v1/members/\(Self.pathPart(id))", nil)
    }

    /// Puts a host in another's place in one step; the same id where the host lost its data.
    /// - Throws: `ClientError`.
    @discardableResult
    public func replaceMember(_ old: String, by new: String, peerAddress: String) async throws(ClientError) -> Bool {
        try await change("POST", "/admin/v1/members/\(Self.pathPart(old))/replace", ["by": new, "peer": peerAddress])
    }

    /// Hands over the leadership of a group (of all, unless named) to a node, or to whoever is best placed.
    /// - Throws: `ClientError` of the first group that could not be handed over.
    public func transferLeadership(
        of group: String? = nil,
        to node: String? = nil
    ) async throws(ClientError)
        -> [LeadershipTransfer]
    {
        struct Body: Decodable {
            let transfers: [LeadershipTransfer]
        }
        var asked: [String: String] = [:]
        asked["group"] = group
        asked["to"] = node
        var transfers: [LeadershipTransfer] = []
        let statuses = await status().compactMap { answer in
            (try? answer.result.get()).map { (answer.endpoint, $0) }
        }
        guard !statuses.isEmpty else { throw .cannotConnect("no node answers") }
        try Self.checkLeaders(of: group, statuses.map(\.1))
        for (endpoint, status) in statuses {
            let leads = status.groups.contains { $0.role == "leader" && (group == nil || $0.id == group) }
            guard leads, status.node != node else { continue }
            let answer = try await http.send(
                "POST",
                "/admin/v1/leadership",
                Self.encode(asked),
                to: endpoint,
                within: configuration.requestTimeout
            )
            let body: Body = try Self.decode(answer, endpoint)
            transfers += body.transfers
        }
        return transfers
    }

    /// Refuses a group that does not exist, and one that has no leader who could hand over.
    private static func checkLeaders(of group: String?, _ statuses: [NodeStatus]) throws(ClientError) {
        let present = statuses.filter { !$0.isRemoved }
        let known = Set(present.flatMap { $0.groups.map(\.id) }).sorted {
            (UInt64($0) ?? .max, $0) < (UInt64($1) ?? .max, $1)
        }
        if let group, !known.contains(group) {
            let names = known.joined(separator: ", ")
            throw .httpStatus(404, message: "not_found: there is no group \(group); groups are \(names)")
        }
        for id in group.map({ [$0] }) ?? known
        where !present.contains(where: { $0.groups.contains { $0.id == id && $0.role == "leader" } }) {
            let members = Set(present.flatMap { [$0.node] + $0.peers.map(\.id) })
            throw .unavailable(
                "group \(id) has no leader that could hand over: \(present.count) of \(members.count) members answer; see 'kvctl status'"
            )
        }
    }

    /// Stops a node gracefully; `force` also where the others are no majority.
    /// - Throws: `ClientError`; `.httpStatus(409, …)` where the others are no majority.
    public func stopNode(_ id: String, force: Bool = false) async throws(ClientError) {
        let known = try await members()
        guard let member = known.members.first(where: { $0.id == id }) else {
            throw .httpStatus(404, message: "not_found: node \(id) is no member")
        }
        guard let endpoint = member.addresses["http"].flatMap({ Endpoint($0) }) else {
            throw .unavailable("node \(id) has announced no HTTP address")
        }
        let answer = try await http.send(
            "POST",
            "/admin/v1/stop",
            Array((force ? "{\"force\":true}" : "{}").utf8),
            to: endpoint,
            within: configuration.requestTimeout
        )
        guard (200..<300).contains(answer.status) else {
            throw .httpStatus(answer.status, message: HTTPAccess.message(answer))
        }
    }

    // MARK: Finding who takes changes

    /// Sends a change to the leader of group 0: to one node after the other until one takes it, again and again until the
    /// request timeout.
    ///
    /// A change that was sent twice is the same change.
    private func change(_ method: String, _ path: String, _ body: [String: String]?) async throws(ClientError) -> Bool {
        struct Outcome: Decodable {
            let changed: Bool?
        }
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let bytes = body.map(Self.encode)
        var failure = ChangeFailure()
        var backOff = BackOff(from: .milliseconds(20), to: .milliseconds(300))
        while ContinuousClock.now < deadline {
            for endpoint in await adminEndpoints(until: deadline) {
                do throws(ClientError) {
                    let answer = try await http.send(method, path, bytes, to: endpoint, within: left(deadline))
                    if (200..<300).contains(answer.status) {
                        // What an earlier version answers says nothing of it.
                        let outcome = try? JSONDecoder().decode(Outcome.self, from: Data(answer.body))
                        return outcome?.changed != false || failure.mayHaveBeenDone
                    }
                    throw .httpStatus(answer.status, message: HTTPAccess.message(answer))
                } catch {
                    guard failure.note(error) else { throw error }
                }
            }
            do {
                try await Task.sleep(for: min(backOff.next(), left(deadline)))
            } catch {
                throw .closed
            }
        }
        throw failure.error
    }

    /// Why no node took a change so far.
    struct ChangeFailure {
        private(set) var error: ClientError = .invalidArgument("no HTTP endpoint was given")
        private(set) var mayHaveBeenDone = false
        private var weight = 0

        /// Notes why a node did not take it; false where no other will.
        ///
        /// What a node says of the cluster is worth more than that another cannot be reached.
        mutating func note(_ other: ClientError) -> Bool {
            let found: Int
            switch other {
            case .cannotConnect: found = 1
            case .connectionLost, .timedOut: (found, mayHaveBeenDone) = (1, true)
            // Not this one, or nobody yet.
            case .httpStatus(503, let text):
                found = text.hasPrefix("no_leader") ? 3 : text.hasPrefix("not_leader") ? 0 : 2
            case .httpStatus(429, _), .httpStatus(502, _): found = 2
            // Perhaps done, and the same again is no error.
            case .httpStatus(504, _): (found, mayHaveBeenDone) = (3, true)
            default: return false
            }
            if found >= weight { (error, weight) = (other, found) }
            return true
        }
    }

    /// The endpoints that were given, and those of members that they name, the leader of group 0 first.
    private func adminEndpoints(until deadline: ContinuousClock.Instant) async -> [Endpoint] {
        let given = configuration.httpEndpoints
        // Where nobody says who belongs to it, those that were named are asked.
        guard let known = try? await members(until: min(deadline, ContinuousClock.now + .seconds(2))) else {
            return given
        }
        let leaders = known.members.filter { $0.id == known.leader }
        let named = (leaders + known.members).compactMap { $0.addresses["http"].flatMap { Endpoint($0) } }
        var all: [Endpoint] = []
        for endpoint in named + given where !all.contains(endpoint) { all.append(endpoint) }
        return all
    }

    func left(_ deadline: ContinuousClock.Instant) -> Duration {
        max(.milliseconds(1), deadline - ContinuousClock.now)
    }

    private static func pathPart(_ id: String) -> String { HTTPAccess.percentEncoded(Array(id.utf8)) }

    private static func encode(_ body: [String: String]) -> [UInt8] {
        // Text by text can always be encoded; an empty body would only be refused.
        (try? JSONEncoder().encode(body)).map { Array($0) } ?? []
    }
}
