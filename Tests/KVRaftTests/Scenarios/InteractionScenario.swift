import KVBase

@testable import KVRaft

/// Runs the interaction scenarios, whole groups of replicas, and compares outcomes: states, progress, logs and errors.
///
/// How many messages it took to get there is each implementation's own business.
final class InteractionScenario {
    enum Envelope {
        case message(Message)
        /// A proposal that a follower passes on. The core leaves that to its host.
        case proposal(from: ReplicaID, to: ReplicaID, ProposedEntry)
        case persisted(ReplicaID, ticket: UInt64)
        case applied(ReplicaID, [Entry])

        var to: ReplicaID {
            switch self {
            case .message(let message): message.to
            case .proposal(_, let to, _): to
            case .persisted(let to, _), .applied(let to, _): to
            }
        }

        var isLocal: Bool {
            switch self {
            case .message, .proposal: false
            case .persisted, .applied: true
            }
        }
    }

    private var nodes: [InteractionNode] = []
    private var envelopes: [Envelope] = []
    private var isSilent = false
    private var errors: [String] = []

    private static let errorTexts: Set<String> = ["raft: cannot step as peer not found", "raft proposal dropped"]
    private static let compared: Set<String> = ["raft-state", "status", "raft-log", "compact"]

    func run(_ block: ScenarioFile.Block) -> (expected: [String], actual: [String]) {
        errors = []
        var output: [String]
        do {
            output = try perform(block)
        } catch {
            output = ["\(error)"]
        }
        guard !isSilent, block.expected != ["ok"] || !output.isEmpty || !errors.isEmpty,
            block.value("log-level") != "none"
        else {
            return ([], [])
        }
        if Self.compared.contains(block.command) { return (block.expected, output) }
        let expected = block.expected.map { $0.trimmingPrefix { $0 == " " } }.map(String.init)
        return (Self.once(expected.filter { Self.errorTexts.contains($0) }), Self.once(output + errors))
    }

    /// The same without repetitions: how often an error occurs depends on how many messages there are.
    private static func once(_ lines: [String]) -> [String] {
        var result: [String] = []
        for line in lines where !result.contains(line) { result.append(line) }
        return result
    }

    private func perform(_ block: ScenarioFile.Block) throws -> [String] {
        let ids = block.words.compactMap { UInt64($0) }.map { ReplicaID($0) }
        switch block.command {
        case "log-level":
            isSilent = block.words.first == "none"
        case "add-nodes":
            try addNodes(block)
        case "campaign":
            try node(ids).core.campaign()
        case "propose":
            try propose(at: node(ids), .commands, Array((block.words.last ?? "").utf8))
        case "propose-conf-change":
            try proposeChange(block, node(ids))
        case "forget-leader":
            try node(ids).core.forgetLeader()
        case "transfer-leadership":
            let from = try node([replica(block.value("from"))])
            try from.core.transferLeadership(to: replica(block.value("to")))
        case "report-unreachable":
            try node(ids).core.reportUnreachable(ids[1])
        case "tick-election":
            for _ in 0..<3 { try node(ids).core.tick() }
        case "tick-heartbeat":
            try node(ids).core.tick()
        case "set-randomized-election-timeout":
            try node(ids).core.electionTimeout = Int(block.value("timeout") ?? "") ?? 0
        case "process-ready":
            for id in ids { try processReady(node([id])) }
        case "process-append-thread":
            for id in ids { _ = try processWrite(node([id])) }
        case "process-apply-thread":
            for id in ids { _ = try processApplication(node([id])) }
        case "deliver-msgs":
            let dropped = (block.values("drop") ?? []).map { replica($0) }
            for id in ids + dropped where !ids.contains(id) || !dropped.contains(id) {
                _ = deliver(to: id, dropping: dropped.contains(id))
            }
        case "stabilize":
            try stabilize(ids.isEmpty ? nodes : ids.map { try node([$0]) })
        case "compact":
            let target = try node(ids)
            target.compact(through: ids[1].rawValue)
            return target.log
        case "raft-log":
            return try node(ids).log
        case "raft-state":
            return nodes.map(\.state)
        case "status":
            return try node(ids).core.progress.map(ScenarioText.progress)
        default:
            throw ScenarioError(description: "unknown command \(block.command)")
        }
        return []
    }

    struct ScenarioError: Error, CustomStringConvertible {
        let description: String
    }

    private func replica(_ word: String?) -> ReplicaID { ReplicaID(word.flatMap { UInt64($0) } ?? 0) }

    private func node(_ ids: [ReplicaID]) throws -> InteractionNode {
        guard let id = ids.first, let node = nodes.first(where: { $0.replica == id }) else {
            throw ScenarioError(description: "no node \(ids)")
        }
        return node
    }

    // MARK: Commands

    private func addNodes(_ block: ScenarioFile.Block) throws {
        var settings = RaftSettings()
        settings.electionTicks = 3
        settings.heartbeatTicks = 1
        settings.preVotes = block.flag("prevote")
        settings.checksQuorum = block.flag("checkquorum")
        settings.isLeaseEnabled = block.value("read-only") == "lease-based"
        settings.stepsDownOnRemoval = block.flag("step-down-on-removal")
        settings.validatesChanges = !block.flag("disable-conf-change-validation")
        settings.messageBytesMax = .max
        settings.inflightBytesMax = .max
        settings.inflightMessagesMax = block.value("inflight").flatMap { Int($0) } ?? .max
        if let bytes = block.value("max-committed-size-per-ready").flatMap({ Int($0) }) {
            settings.applyPageBytesMax = bytes
        }
        let configuration = Configuration(
            voters: (block.values("voters") ?? []).map { replica($0) },
            learners: (block.values("learners") ?? []).map { replica($0) }
        )
        let index = block.value("index").flatMap { LogIndex($0) } ?? 0
        for _ in 0..<(block.words.first.flatMap { Int($0) } ?? 0) {
            nodes.append(
                try InteractionNode(
                    ReplicaID(UInt64(nodes.count + 1)),
                    settings: settings,
                    configuration: configuration,
                    index: index,
                    isAsynchronous: block.flag("async-storage-writes")
                )
            )
        }
    }

    private func propose(at node: InteractionNode, _ kind: EntryKind, _ payload: [UInt8]) throws {
        let entry = ProposedEntry(kind: kind, time: 0, payload: payload, group: GroupID(0))
        do {
            _ = try node.core.propose([entry])
        } catch RaftError.notLeader(let hint?) {
            envelopes.append(.proposal(from: node.replica, to: hint, entry))
        } catch RaftError.configurationRefused {
            // The scenarios' core puts an empty entry in the place of a change that it refuses.
            _ = try node.core.propose([ProposedEntry(kind: .empty, time: 0, payload: [], group: GroupID(0))])
        } catch RaftError.notLeader, RaftError.notMember, RaftError.transferring, RaftError.overloaded {
            errors.append("raft proposal dropped")
        }
    }

    private func proposeChange(_ block: ScenarioFile.Block, _ node: InteractionNode) throws {
        let transitions: [String: ConfigurationChange.Transition] = [
            "implicit": .jointAutomatic, "explicit": .jointExplicit,
        ]
        let transition = block.value("transition").flatMap { transitions[$0] } ?? .automatic
        let mark: UInt8 = block.flag("v1") ? 1 : 2
        let change = ConfigurationChange(
            transition: transition,
            items: ScenarioText.items(block.input),
            context: [mark] + Array(block.input.joined(separator: " ").utf8)
        )
        try propose(at: node, .configuration, change.encoded)
    }

    // MARK: The host

    private func processReady(_ node: InteractionNode) throws {
        guard node.core.hasEffects else { return }
        node.core.takeEffects(into: &node.effects)
        let effects = node.effects
        envelopes += effects.messagesNow.map { .message($0) }
        let commit = node.core.hardState.commit
        if effects.needsPersisting || !effects.messagesAfterPersist.isEmpty || commit != node.givenCommit {
            node.writes.append(
                .init(entries: effects.entries, ticket: effects.ticket, messages: effects.messagesAfterPersist)
            )
        }
        node.givenCommit = commit
        if !effects.entriesToApply.isEmpty { node.applications.append(effects.entriesToApply) }
        if !node.isAsynchronous {
            while processWrite(node) {}
            while processApplication(node) {}
        }
        if let offer = effects.snapshotToInstall { node.install(offer) }
        for request in effects.snapshotsToSend {
            guard let newest = node.history.last else { continue }
            node.core.snapshotDelivered(
                to: request.replica,
                index: newest.index,
                term: newest.term,
                configuration: newest.configuration
            )
        }
        if node.core.wantsToLeaveJoint { try propose(at: node, .configuration, ConfigurationChange.leaveJoint.encoded) }
        if !effects.snapshotsToSend.isEmpty || effects.snapshotToInstall != nil { try processReady(node) }
    }

    private func processWrite(_ node: InteractionNode) -> Bool {
        guard !node.writes.isEmpty else { return false }
        let task = node.writes.removeFirst()
        node.write(task.entries)
        envelopes += task.messages.map { .message($0) }
        if node.isAsynchronous {
            envelopes.append(.persisted(node.replica, ticket: task.ticket))
        } else {
            node.core.persisted(ticket: task.ticket)
        }
        return true
    }

    private func processApplication(_ node: InteractionNode) -> Bool {
        guard !node.applications.isEmpty else { return false }
        let page = node.applications.removeFirst()
        if node.isAsynchronous {
            envelopes.append(.applied(node.replica, page))
        } else {
            node.apply(page)
        }
        return true
    }

    private func deliver(to replica: ReplicaID, dropping: Bool = false) -> Bool {
        let mine = envelopes.filter { $0.to == replica }
        envelopes.removeAll { $0.to == replica }
        for envelope in mine where !dropping || envelope.isLocal {
            guard let node = nodes.first(where: { $0.replica == replica }) else { continue }
            do {
                switch envelope {
                case .message(let message): try node.core.step(message)
                case .proposal(_, _, let entry): _ = try node.core.propose([entry])
                case .persisted(_, let ticket): node.core.persisted(ticket: ticket)
                case .applied(_, let page): node.apply(page)
                }
            } catch RaftError.unknownPeer {
                errors.append("raft: cannot step as peer not found")
            } catch {
                errors.append("\(error)")
            }
        }
        return !mine.isEmpty
    }

    private func stabilize(_ chosen: [InteractionNode]) throws {
        var isBusy = true
        var rounds = 0
        while isBusy {
            isBusy = false
            rounds += 1
            guard rounds < 1_000 else { throw ScenarioError(description: "does not stabilize") }
            for node in chosen where node.core.hasEffects {
                isBusy = true
                try processReady(node)
            }
            for node in chosen where deliver(to: node.replica) { isBusy = true }
            for node in chosen { while processWrite(node) { isBusy = true } }
            for node in chosen { while processApplication(node) { isBusy = true } }
        }
    }
}
