import KVBase
import KVReplication
package import KVService

// Users: changed through group 0's log by its leader, and known here as soon as that is applied here.

extension Node: AccessAdministration {
    package func change(_ command: AccessCommand, completion: @escaping @Sendable (ServiceError?) -> Void) {
        onHome { [self] in
            if let retirement { return completion(retirement) }
            guard let group = groups[.controller], group.isLeader else {
                let leader = groups[.controller]?.leaderNode
                return completion(
                    ServiceError(.notLeader, "changes of users go to the leader of group 0", leader: leader)
                )
            }
            let (action, subject) = command.summary
            log.info("changing users", metadata: ["action": "\(action)", "subject": "\(subject)"])
            let deadline = clock.monotonicNanoseconds + settings.group.requestTimeoutNanoseconds
            group.propose(
                control: command.encoded,
                origin: Origin(sink: AccessSink(completion), tag: 0, deadline: deadline)
            )
        }
    }

    /// Makes an administrator as soon as this node leads group 0: where there is none, or in a recovery in any case.
    ///
    /// Any thread.
    package func makeAdministrator(_ name: String, hash: String, isRecovery: Bool) {
        onHome { [self] in firstAdministrator = (name, hash, isRecovery) }
    }

    func accessChanged() { access.update(controller.access) }

    /// Proposes the administrator that is to be made; nothing is remembered, so that the next leader's file does no harm.
    func makeFirstAdministrator() {
        guard let (name, hash, isRecovery) = firstAdministrator, let group = groups[.controller], group.isLeader,
            controller.state.cluster != nil, group.hasAppliedItsTerm
        else { return }
        firstAdministrator = nil
        guard isRecovery || !controller.access.hasAdministrator else { return }
        change(.bootstrap(name, hash: hash, isRecovery: isRecovery)) { [log, weak self] error in
            if let error {
                log.warning(
                    "the administrator is not made yet",
                    metadata: ["user": "\(name)", "error": "\(error.message)"]
                )
                self?.makeAdministrator(name, hash: hash, isRecovery: isRecovery)
            } else {
                log.notice(
                    "audit",
                    metadata: ["action": isRecovery ? "recover" : "bootstrap", "subject": "\(name)", "user": "file"]
                )
            }
        }
    }
}

/// Tells a caller how a command about users went.
private final class AccessSink: ReplySink {
    private let completion: @Sendable (ServiceError?) -> Void

    init(_ completion: @escaping @Sendable (ServiceError?) -> Void) { self.completion = completion }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) { completion(reply.error) }
}
