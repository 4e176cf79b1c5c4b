/// What a correct, single-threaded object would answer: the specification that a concurrent history is held against.
///
/// The checker works on one key at a time, so a state is the state of one key.
package protocol SequentialModel: Sendable {
    /// The object between two calls.
    associatedtype State: Hashable & Sendable
    /// What a client asked for.
    associatedtype Call: Hashable & Sendable
    /// What a client was told.
    associatedtype Result: Sendable

    /// The object before the first call.
    var initial: State { get }

    /// The state after `call`, or nil where a correct object in `state` could not have answered `result`.
    ///
    /// A nil `result` means that the client never heard: the state after the call took effect, or nil where it could
    /// have had no effect. The checker itself covers the case that it never took effect.
    func step(_ state: State, _ call: Call, _ result: Result?) -> State?

    /// Whether `call`, answered so, changes no state that it can be answered so in.
    ///
    /// What is known about a state may become more: a read that tells a version changes nothing.
    func isRead(_ call: Call, _ result: Result) -> Bool
}
