package import KVBase
import KVReplication
package import Logging

/// What a data directory holds that a cluster is to go on with alone.
package struct RecoveryReport: Sendable {
    /// One group.
    package struct Group: Sendable {
        /// The group.
        package let id: GroupID
        /// The last entry of its log, and the term of its leader.
        package let lastIndex: LogIndex
        package let lastTerm: Term
        /// Through where the directory knows that a majority held it.
        package let commit: LogIndex
        /// The nodes of its voters, as far as this directory knows.
        package let voters: [NodeID]
        /// Why its state is not to be believed; nil where nothing is known against it.
        package let fault: String?
    }

    /// The cluster that was.
    package let cluster: ClusterID
    /// Each group.
    package let groups: [Group]
}

// What is left when a majority is lost for good.

extension Node {
    /// What a data directory could go on with; nothing is changed that a start would not change.
    ///
    /// Blocks like `open`; the process ends after it.
    /// - Throws: `NodeError`.
    package static func inspectForRecovery(
        _ settings: NodeSettings,
        environment: NodeEnvironment,
        log: Logger
    ) throws -> RecoveryReport {
        try open(settings, environment: environment, log: log).recoveryReport
    }

    /// Makes this node the only member of a cluster of its own, with all that its log holds: entries that a majority confirmed elsewhere and
    /// that never reached this node are lost, and ones that were never confirmed become so.
    ///
    /// `completion` is called on the home scheduler when everything is durable; the identity comes last, so that it can be done again
    /// where it was interrupted. The process ends after it and is started as usual.
    /// - Throws: `NodeError` where the directory cannot be opened, or what it holds is known to be wrong.
    package static func recover(
        _ settings: NodeSettings,
        as cluster: ClusterID,
        environment: NodeEnvironment,
        log: Logger,
        completion: @escaping @Sendable ((any Error)?) -> Void
    ) throws {
        var alone = settings
        alone.standsAlone = true
        let node = try open(alone, environment: environment, log: log)
        for group in node.sortedGroups {
            guard let fault = group.rebuildReason else { continue }
            throw NodeError(
                "the state of group \(group.id) in \(settings.dataDirectory) is not to be believed (\(fault)): recover from another node"
            )
        }
        environment.home.execute { node.standAlone(node.sortedGroups[...], cluster, completion) }
    }

    private func standAlone(
        _ left: ArraySlice<GroupReplica>,
        _ cluster: ClusterID,
        _ completion: @escaping @Sendable ((any Error)?) -> Void
    ) {
        guard let group = left.first else { return identityStore.changeCluster(to: cluster, completion: completion) }
        group.standAlone { [self] error in
            if let error { completion(error) } else { standAlone(left.dropFirst(), cluster, completion) }
        }
    }

    private var recoveryReport: RecoveryReport {
        RecoveryReport(
            cluster: identity.cluster,
            groups: sortedGroups.map { group in
                RecoveryReport.Group(
                    id: group.id,
                    lastIndex: group.lastIndex,
                    lastTerm: group.lastTerm,
                    commit: group.commitIndex,
                    voters: group.configuration.voters.compactMap { group.node(of: $0) },
                    fault: group.rebuildReason
                )
            }
        )
    }
}
