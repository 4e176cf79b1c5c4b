/// What an operator should look at, by a name that dashboards and runbooks know: docs/operations/alarms.md.
package enum NodeAlarm: String, Sendable, CaseIterable {
    /// The node has not met every member since its data directory was made.
    case notFormed = "not_formed"
    /// A group cannot go on here.
    case groupStopped = "group_stopped"
    /// A replica's state is void and is fetched anew, here or on another node.
    case replicaQuarantined = "replica_quarantined"
    /// What a leader proposed is not committed, although a majority answers it.
    case commitStalled = "commit_stalled"
    /// The log's disk has no room: writes are refused.
    case logDiskFull = "log_disk_full"
    /// A tablet cannot flush, or its bytes are damaged.
    case tabletFailing = "tablet_failing"
    /// The disk runs full.
    case diskLow = "disk_low"
    /// Memory runs short.
    case memoryHigh = "memory_high"
    /// File descriptors run short.
    case descriptorsLow = "descriptors_low"
}

/// Raises at one value and clears at another, so that what stands at the brink does not flap.
package struct Watermark: Sendable, Equatable {
    /// Raised from here on, upward.
    package let raiseAt: Double
    /// Cleared below this.
    package let clearBelow: Double
    /// Whether it is raised.
    package private(set) var isRaised = false

    /// A mark that is not raised.
    /// - Precondition: `clearBelow <= raiseAt`.
    package init(raiseAt: Double, clearBelow: Double) {
        precondition(clearBelow <= raiseAt, "clears below \(clearBelow), raises at \(raiseAt)")
        self.raiseAt = raiseAt
        self.clearBelow = clearBelow
    }

    /// Takes the newest value; returns whether it is raised.
    package mutating func update(_ value: Double) -> Bool {
        if value >= raiseAt { isRaised = true } else if value < clearBelow { isRaised = false }
        return isRaised
    }
}

extension Node {
    /// Raises an alarm that the host watches for, changes its text, or clears it.
    ///
    /// Any thread.
    package func setHostAlarm(_ alarm: NodeAlarm, _ text: String?) {
        onHome { [self] in
            let old = hostAlarms[alarm]
            hostAlarms[alarm] = text
            if let text, old == nil {
                log.warning("alarm raised", metadata: ["alarm": "\(alarm.rawValue)", "reason": "\(text)"])
            } else if text == nil, old != nil {
                log.notice("alarm cleared", metadata: ["alarm": "\(alarm.rawValue)"])
            }
        }
    }

    /// All alarms that stand, with what to do.
    ///
    /// Home scheduler.
    package var standingAlarms: [(alarm: NodeAlarm, text: String)] {
        var found: [(alarm: NodeAlarm, text: String)] =
            alarms.sorted { $0.key < $1.key }.map { (.groupStopped, $0.value) }
        if !isFormed {
            let missing = settings.members.filter { $0.id != settings.node && !isConnected($0.id) }.map { "\($0.id)" }
            let text =
                "this node has not met every member yet and takes no part before it has: start or connect node"
                + " \(missing.joined(separator: ", "))"
            found.append((.notFormed, text))
        }
        if host.log.isDiskFull {
            found.append((.logDiskFull, "the log's disk is full: writes are refused until there is room"))
        }
        for group in sortedGroups {
            if let reason = group.quarantine {
                found.append((.replicaQuarantined, "group \(group.id) is rebuilt on this node: \(reason)"))
            }
            if let seconds = group.commitStalledSeconds {
                let text =
                    "group \(group.id), which this node leads, has committed nothing for \(seconds) s although writes wait: hand leadership"
                    + " over (kvctl member transfer-leader), and see what the logs of this node and its followers say"
                found.append((.commitStalled, text))
            }
            for node in group.differingNodes {
                let text =
                    "group \(group.id) on node \(node) holds another state than the majority, or than this leader"
                found.append((.replicaQuarantined, text))
            }
            for hosted in group.tablets {
                guard let problem = hosted.tablet.problem else { continue }
                found.append((.tabletFailing, "group \(group.id) shard \(hosted.shard): \(problem)"))
            }
        }
        for alarm in NodeAlarm.allCases {
            if let text = hostAlarms[alarm] { found.append((alarm, text)) }
        }
        return found
    }
}
