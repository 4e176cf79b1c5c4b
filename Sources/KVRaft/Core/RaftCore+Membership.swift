import KVBase

extension RaftCore {
    /// Whether a change may be proposed now: one at a time, and only what leads somewhere.
    func checkChange(_ payload: [UInt8]) throws(RaftError) {
        let change = try decodeChange(payload)
        guard settings.validatesChanges else { return }
        guard pendingConfigurationIndex <= log.applied else {
            throw .configurationRefused(.pending(pendingConfigurationIndex))
        }
        do {
            _ = try ConfigurationChanger.apply(change, to: tracker.configuration)
        } catch {
            throw .configurationRefused(error)
        }
    }

    private func decodeChange(_ payload: [UInt8]) throws(RaftError) -> ConfigurationChange {
        do {
            return try ConfigurationChange(decoding: payload)
        } catch {
            throw .configurationRefused(.undecodable)
        }
    }

    /// Takes the configuration entry that the host is applying into effect.
    ///
    /// - Returns: the configuration from now on, which the host stores with the applied index.
    /// - Throws: `configurationRefused` where the change does not apply; every replica then keeps the configuration it has.
    package mutating func applyConfiguration(_ entry: Entry) throws(RaftError) -> Configuration {
        precondition(
            entry.kind == .configuration && entry.index > log.applied && entry.index <= log.applying,
            "configuration entry \(entry.index) outside \(log.applied)…\(log.applying)"
        )
        // On top of nothing a change gives another configuration than the others have: see RestoredState.founding.
        guard !tracker.configuration.voters.isEmpty else { throw .configurationRefused(.noVoterToStartFrom) }
        let change = try decodeChange(entry.payload)
        var changed: Configuration
        do {
            changed = try ConfigurationChanger.apply(change, to: tracker.configuration)
            if changed.isJoint, settings.plantedBugs.contains(.skipsJoint) {
                changed = try ConfigurationChanger.leaveJoint(changed)
            }
        } catch {
            throw .configurationRefused(error)
        }
        switchTo(changed)
        return changed
    }

    mutating func switchTo(_ configuration: Configuration) {
        tracker.adopt(configuration, lastIndex: log.lastIndex, settings: settings)
        trace(.switched(to: configuration))
        askedToLeaveJoint = false
        guard role == .leader else { return }
        guard configuration.isVoter(replica) else {
            if settings.stepsDownOnRemoval {
                trace(.steppedDown(term: term, lostQuorum: false))
                becomeFollower(term: term, leader: nil)
            }
            return
        }
        // Fewer replicas may be needed now than before.
        advanceCommit()
        confirmReads()
        // Newcomers hear at once.
        for place in tracker.replicas.indices where tracker[place].replica != replica {
            sendAppend(place, evenEmpty: false)
        }
        if let target = transferTarget, !configuration.voters.contains(target) { transferTarget = nil }
    }

    /// Whether the host is to propose leaving the joint configuration: applied, wanted, and not under way.
    var wantsToLeaveJoint: Bool {
        role == .leader && tracker.configuration.isJoint && tracker.configuration.leavesAutomatically
            && pendingConfigurationIndex <= log.applied && transferTarget == nil
    }
}
