package import KVBase

/// Why a call to the core was refused.
///
/// Nothing changed then, but that a message of a higher term may have ended the own one.
package enum RaftError: Error, Sendable, Equatable {
    /// This replica is not the leader; the hint says who may be.
    case notLeader(ReplicaID?)
    /// Leadership is being handed to this replica; ask it soon.
    case transferring(ReplicaID)
    /// A bound on waiting work is reached: uncommitted bytes or pending reads.
    case overloaded
    /// This replica is not (any more) in the group's configuration.
    case notMember
    /// The change of the configuration is refused.
    case configurationRefused(ConfigurationRefusal)
    /// A replica outside the configuration answered, or one was named.
    case unknownPeer(ReplicaID)
    /// The message or the restored state is nothing that a correct sender says; the text names the field and the values.
    case malformed(String)
    /// What is known to be committed or acknowledged is not in the log: the log was lost in part.
    case logLost(last: LogIndex, needed: LogIndex)
}
