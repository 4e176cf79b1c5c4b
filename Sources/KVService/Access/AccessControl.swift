import Synchronization

/// What this node has heard from group 0 of users: read by every edge, written by the node as it applies.
///
/// Any thread. A change is seen by the next request of every connection.
package final class AccessControl: Sendable {
    private struct State {
        var access = AccessState()
        /// Who has a token, by its id.
        var tokens: [UInt64: String] = [:]
    }

    private let state = Mutex(State())
    private let generationNumber = Atomic<UInt64>(1)
    private let isOn: Atomic<Bool>
    private let isDemanded: Bool

    /// Without users; `isDemanded` asks for authentication whatever group 0 says.
    package init(isDemanded: Bool = false) {
        self.isDemanded = isDemanded
        isOn = Atomic(isDemanded)
    }

    /// Takes over what group 0 says now.
    package func update(_ access: AccessState) {
        var tokens: [UInt64: String] = [:]
        for (name, user) in access.users {
            for id in user.tokens.keys { tokens[id] = name }
        }
        let byToken = tokens
        state.withLock { $0 = State(access: access, tokens: byToken) }
        isOn.store(isDemanded || access.isEnabled, ordering: .releasing)
        generationNumber.wrappingAdd(1, ordering: .releasing)
    }

    /// Whether clients must prove who they are.
    package var isRequired: Bool { isOn.load(ordering: .acquiring) }

    /// Whether this node's configuration asks for it.
    package var isRequiredByConfiguration: Bool { isDemanded }

    /// Grows with each change.
    var generation: UInt64 { generationNumber.load(ordering: .acquiring) }

    /// Everything.
    package var current: AccessState { state.withLock { $0.access } }

    /// A user by name.
    package func user(_ name: String) -> AccessUser? { state.withLock { $0.access.users[name] } }

    /// The owner of a token, and the digest of its secret.
    func owner(ofToken id: UInt64) -> (name: String, user: AccessUser, digest: [UInt8])? {
        state.withLock { state in
            guard let name = state.tokens[id], let user = state.access.users[name], let digest = user.tokens[id] else {
                return nil
            }
            return (name, user, digest)
        }
    }

    /// The principal as it stands now; nil where the user is gone or its credentials are others.
    func renewed(_ principal: Principal) -> Principal? {
        guard let user = user(principal.name), user.credentialVersion == principal.credentialVersion else { return nil }
        return Principal(principal.name, user)
    }
}

/// What administrators do with users.
package protocol AccessAdministration: AnyObject, Sendable {
    /// Has group 0 log a change; `completion` is called once, on any thread, when it is applied or with why not.
    ///
    /// `notLeader` names the node that may take it.
    func change(_ command: AccessCommand, completion: @escaping @Sendable (ServiceError?) -> Void)
}

extension AccessAdministration {
    /// Has group 0 log a change.
    /// - Throws: why it did not.
    package func change(_ command: AccessCommand) async throws(ServiceError) {
        let error: ServiceError? = await withCheckedContinuation { continuation in
            change(command) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }
}
