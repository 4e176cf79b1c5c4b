import KVBase

@testable import KVRaft

/// Runs the membership scenarios: changes of a configuration, and what becomes of the progress of its replicas.
struct MembershipScenario {
    private var tracker = ProgressTracker(Configuration(), lastIndex: 0, settings: RaftSettings())
    private var lastIndex: LogIndex = 0

    mutating func run(_ block: ScenarioFile.Block) -> [String] {
        defer { lastIndex += 1 }
        let items = ScenarioText.items(block.input)
        let changed: Configuration
        do {
            switch block.command {
            case "simple": changed = try ConfigurationChanger.simple(tracker.configuration, items)
            case "enter-joint":
                changed = try ConfigurationChanger.enterJoint(
                    tracker.configuration,
                    automatically: block.flag("autoleave"),
                    items
                )
            default: changed = try ConfigurationChanger.leaveJoint(tracker.configuration)
            }
        } catch {
            return [error.description]
        }
        tracker.adopt(changed, lastIndex: lastIndex, settings: RaftSettings())
        for place in tracker.replicas.indices { tracker[place].isRecentlyActive = true }
        return [ScenarioText.configuration(changed)]
            + tracker.replicas.map { ScenarioText.progress(ReplicaProgress($0)) }
    }
}

/// How scenarios write what the core knows.
enum ScenarioText {
    /// `v1 l2 r3 u4`.
    static func items(_ lines: [String]) -> [ConfigurationChange.Item] {
        lines.flatMap { $0.split(separator: " ") }.compactMap { word in
            guard let number = UInt64(word.dropFirst()) else { return nil }
            let steps: [Character: ConfigurationChange.Step] = [
                "v": .addVoter, "l": .addLearner, "r": .remove, "u": .update,
            ]
            return steps[word[word.startIndex]].map { ConfigurationChange.Item($0, ReplicaID(number)) }
        }
    }

    static func configuration(_ configuration: Configuration) -> String {
        func list(_ replicas: [ReplicaID]) -> String { "(" + replicas.map(\.description).joined(separator: " ") + ")" }
        var text = "voters=" + list(configuration.voters)
        if configuration.isJoint { text += "&&" + list(configuration.outgoing) }
        if !configuration.learners.isEmpty { text += " learners=" + list(configuration.learners) }
        if !configuration.learnersNext.isEmpty { text += " learners_next=" + list(configuration.learnersNext) }
        if configuration.leavesAutomatically { text += " autoleave" }
        return text
    }

    static func progress(_ progress: ReplicaProgress) -> String {
        let states: [ReplicationState: String] = [
            .probe: "StateProbe", .replicate: "StateReplicate", .snapshot: "StateSnapshot",
        ]
        var text = "\(progress.replica): \(states[progress.state] ?? "") match=\(progress.match) next=\(progress.next)"
        if progress.isLearner { text += " learner" }
        if progress.isPaused { text += " paused" }
        if progress.pendingSnapshot > 0 { text += " pendingSnap=\(progress.pendingSnapshot)" }
        if !progress.isRecentlyActive { text += " inactive" }
        if progress.inflightCount > 0 {
            text += " inflight=\(progress.inflightCount)" + (progress.isInflightFull ? "[full]" : "")
        }
        return text
    }

    static func role(_ role: Role) -> String {
        switch role {
        case .follower: "StateFollower"
        case .preCandidate: "StatePreCandidate"
        case .candidate: "StateCandidate"
        case .leader: "StateLeader"
        }
    }

    /// `1/11 EntryNormal "text"`.
    static func entry(_ entry: Entry) -> String {
        let place = "\(entry.term)/\(entry.index)"
        guard entry.kind == .configuration else {
            return "\(place) EntryNormal \"\(String(decoding: entry.payload, as: UTF8.self))\""
        }
        guard let change = try? ConfigurationChange(decoding: entry.payload) else {
            return "\(place) EntryConfChangeV2 ?"
        }
        // The context holds the text of the change as the scenario gave it, after a mark for the old form.
        let text = String(decoding: change.context.dropFirst(), as: UTF8.self)
        let kind = change.context.first == 1 ? "EntryConfChange" : "EntryConfChangeV2"
        return text.isEmpty ? "\(place) \(kind)" : "\(place) \(kind) \(text)"
    }
}
