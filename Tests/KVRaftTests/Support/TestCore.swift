@testable import KVRaft

/// A core without a host: the test does, or does not do, what is to be done.
final class TestCore {
    var core: RaftCore

    init(_ core: RaftCore) {
        self.core = core
    }

    /// What is to be done next.
    func next() -> Effects {
        var effects = Effects()
        core.takeEffects(into: &effects)
        core.checkInvariants()
        return effects
    }
}
