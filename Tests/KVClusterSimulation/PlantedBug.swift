import KVBase
import KVNode
import KVRaft

/// Bugs that can be switched on in the code that ships, one guarded line each, to see that the simulation finds them.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// Entries are acknowledged before they are synced.
    case acknowledgeBeforeSync = "acknowledge-before-sync"
    /// Entries are applied before the own log holds them.
    case appliedAheadOfOwnLog = "applied-ahead-of-own-log"
    /// A voter that lost its data is taken back as if it had not.
    case wipedVoter = "wiped-voter"
    /// A vote is told before it is durable.
    case voteNotSynced = "vote-not-synced"
    /// Entries of old terms are committed by counting.
    case commitOldTerm = "commit-old-term"
    /// The entry before an append is not compared.
    case skipPreviousEntryCheck = "skip-previous-entry-check"
    /// A stale report of durability counts.
    case stalePersistedAck = "stale-persisted-ack"
    /// A replacement takes effect at once, without the joint step.
    case skipsJoint = "skips-joint"
    /// A leader serves reads without asking whether it still is one.
    case readsWithoutRound = "reads-without-round"
    /// After a restart everything that is committed counts as applied.
    case appliedIndexApart = "applied-index-apart"
    /// An installed snapshot loses the sessions.
    case snapshotDropsSessions = "snapshot-drops-sessions"
    /// One replica does not apply one entry.
    case losesAnEntry = "loses-an-entry"

    /// Switches the bug on, and the faults that it takes to show.
    package func plant(in options: inout SimulationOptions) {
        switch self {
        case .acknowledgeBeforeSync: options.raftBugs.insert(.acknowledgeBeforeSync)
        case .appliedAheadOfOwnLog: options.raftBugs.insert(.appliedAheadOfOwnLog)
        case .wipedVoter:
            options.bugs.insert(.wipedVoter)
            options.faults.insert(.wipe)
        case .voteNotSynced: options.raftBugs.insert(.voteNotSynced)
        case .commitOldTerm: options.raftBugs.insert(.commitOldTermByCounting)
        case .skipPreviousEntryCheck: options.raftBugs.insert(.skipPreviousEntryCheck)
        case .skipsJoint:
            options.raftBugs.insert(.skipsJoint)
            options.faults.insert(.membership)
            options.operations = max(options.operations, 1_000)
        case .readsWithoutRound:
            // Only a leader that is cut off shows it, to who reads what another wrote meanwhile: long runs of that alone.
            options.raftBugs.insert(.readsWithoutRound)
            options.faults = [.partition, .clock]
            options.clients = 12
            options.keys = 3
            options.operations = max(options.operations, 1_500)
        case .appliedIndexApart: options.bugs.insert(.appliedIndexApart)
        case .snapshotDropsSessions: options.bugs.insert(.snapshotDropsSessions)
        case .losesAnEntry:
            options.bugs.insert(.losesAnEntry)
            options.buggyNode = NodeID(2)
        case .stalePersistedAck: options.raftBugs.insert(.stalePersistedAckAccepted)
        }
    }
}
