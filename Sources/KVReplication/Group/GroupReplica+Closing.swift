import KVStorage

// The end of a group's files when the node stops.

extension GroupReplica {
    /// Ends the group's tablets, then its manifest, so that every byte they leave is proven by another.
    ///
    /// Home scheduler only, after `stop`; `completion` is called there.
    package func closeFiles(completion: @escaping @Sendable () -> Void) {
        let store = store
        let tablets = machine.tablets.map(\.tablet)
        let pending = PendingCloses(count: tablets.count) { store.close(completion: completion) }
        guard !tablets.isEmpty else { return store.close(completion: completion) }
        for tablet in tablets {
            tablet.close { [home = host.home] in home.execute { pending.closed() } }
        }
    }
}

/// Counts tablets that are being closed.
///
/// SENDABLE: touched on the home scheduler only.
private final class PendingCloses: @unchecked Sendable {
    private var count: Int
    private let completion: @Sendable () -> Void

    init(count: Int, completion: @escaping @Sendable () -> Void) {
        self.count = count
        self.completion = completion
    }

    func closed() {
        count -= 1
        if count == 0 { completion() }
    }
}
