/// One key of our store: a value or none, and the version that grows with each mutation.
///
/// A client that does not see versions (RESP) leaves them nil, and they bind nothing. After a write whose version
/// nobody heard, the state knows only a bound that the version is above.
package struct KeyValueModel: SequentialModel {
    /// What a client asked for.
    package enum Call: Hashable, Sendable {
        case get
        case put([UInt8])
        case putIfAbsent([UInt8])
        case putIfPresent([UInt8])
        /// A put that needs the key to have exactly this version.
        case putIfVersion(UInt64, [UInt8])
        case delete
        case deleteIfVersion(UInt64)
        case increment(Int64)
        case append([UInt8])
    }

    /// What a client was told.
    package enum Result: Hashable, Sendable {
        /// A get found this.
        case value([UInt8], version: UInt64?)
        /// A get found nothing, or a delete had nothing to delete.
        case absent
        /// The write took effect: a put wrote, a delete removed something.
        case done(version: UInt64?)
        /// The write was accepted; for a delete: without saying whether there was anything.
        case accepted
        /// The condition did not hold; the version that the key has, 0 for absent, where the client was told.
        case conditionFailed(version: UInt64?)
        /// An increment's new value, or the length after an append.
        case number(Int64, version: UInt64?)
        /// The value was not a number, or the sum does not fit: nothing changed.
        case notANumber
    }

    /// The key between two operations.
    package struct State: Hashable, Sendable, CustomStringConvertible {
        /// Its value; nil where it is absent.
        package var value: [UInt8]?
        /// Its version, or one that its version is above; of an absent key, one that every later version is above.
        package var version: UInt64
        /// Whether `version` is the version itself.
        package var isExact: Bool

        /// As text for a report.
        package var description: String {
            guard let value else { return "absent, versions above \(version)" }
            return "\(KeyValueModel.text(value)), version \(isExact ? "" : "above ")\(version)"
        }

        /// Whether the key can have this version now.
        func admits(_ candidate: UInt64) -> Bool {
            guard value != nil else { return candidate == 0 }
            return isExact ? candidate == version : candidate > version
        }
    }

    /// The key before any write.
    package let initial = State(value: nil, version: 0, isExact: true)

    /// The model; it has no options.
    package init() {}

    /// Gets, and writes that were refused or found nothing.
    package func isRead(_ call: Call, _ result: Result) -> Bool {
        switch result {
        case .value, .absent, .conditionFailed, .notANumber: true
        case .done, .accepted, .number: false
        }
    }

    /// The key after `call`.
    package func step(_ state: State, _ call: Call, _ result: Result?) -> State? {
        switch call {
        case .get: read(state, result)
        case .put(let value): write(value, over: state, if: true, result)
        case .putIfAbsent(let value): write(value, over: state, if: state.value == nil, result)
        case .putIfPresent(let value): write(value, over: state, if: state.value != nil, result)
        case .putIfVersion(let version, let value): write(value, over: state, expecting: version, result)
        case .delete: delete(state, result)
        case .deleteIfVersion(let version): delete(state, expecting: version, result)
        case .increment(let amount): increment(state, by: amount, result)
        case .append(let suffix): append(suffix, to: state, result)
        }
    }

    private func read(_ state: State, _ result: Result?) -> State? {
        switch result {
        case nil: return state
        case .absent: return state.value == nil ? state : nil
        case .value(let value, let version):
            guard value == state.value else { return nil }
            guard let version else { return state }
            return state.admits(version) ? State(value: value, version: version, isExact: true) : nil
        default: return nil
        }
    }

    private func write(_ value: [UInt8], over state: State, if holds: Bool, _ result: Result?) -> State? {
        switch result {
        case nil, .accepted: return holds ? changed(state, to: value, version: nil) : nil
        case .done(let version): return holds ? changed(state, to: value, version: version) : nil
        case .conditionFailed(let version): return holds ? nil : unchanged(state, seen: version)
        default: return nil
        }
    }

    private func write(_ value: [UInt8], over state: State, expecting version: UInt64, _ result: Result?) -> State? {
        if case .conditionFailed(let seen) = result { return refused(state, expecting: version, seen: seen) }
        guard state.value != nil, state.admits(version) else { return nil }
        let exact = State(value: state.value, version: version, isExact: true)
        return write(value, over: exact, if: true, result)
    }

    private func delete(_ state: State, _ result: Result?) -> State? {
        switch result {
        case nil, .accepted: return state.value == nil ? state : changed(state, to: nil, version: nil)
        case .done(let version):
            // A reply may carry the version that the key has afterwards, which is 0.
            return state.value == nil ? nil : changed(state, to: nil, version: version == 0 ? nil : version)
        case .absent: return state.value == nil ? state : nil
        default: return nil
        }
    }

    private func delete(_ state: State, expecting version: UInt64, _ result: Result?) -> State? {
        switch result {
        case .conditionFailed(let seen): return refused(state, expecting: version, seen: seen)
        case .absent: return state.value == nil ? state : nil
        default:
            guard state.value != nil, state.admits(version) else { return nil }
            return delete(State(value: state.value, version: version, isExact: true), result)
        }
    }

    private func increment(_ state: State, by amount: Int64, _ result: Result?) -> State? {
        let sum: Int64? =
            if let value = state.value {
                Int64(Self.text(value)).flatMap { number in
                    let (sum, isOver) = number.addingReportingOverflow(amount)
                    return isOver ? nil : sum
                }
            } else {
                amount
            }
        switch result {
        case .notANumber: return sum == nil ? state : nil
        case nil: return sum.flatMap { changed(state, to: Array("\($0)".utf8), version: nil) }
        case .number(let number, let version):
            return number == sum ? changed(state, to: Array("\(number)".utf8), version: version) : nil
        default: return nil
        }
    }

    private func append(_ suffix: [UInt8], to state: State, _ result: Result?) -> State? {
        let value = (state.value ?? []) + suffix
        switch result {
        case nil, .accepted: return changed(state, to: value, version: nil)
        case .done(let version): return changed(state, to: value, version: version)
        case .number(let length, let version):
            return length == Int64(value.count) ? changed(state, to: value, version: version) : nil
        default: return nil
        }
    }

    /// The state after a mutation; a version that did not grow is refused.
    private func changed(_ state: State, to value: [UInt8]?, version: UInt64?) -> State? {
        guard let version else { return State(value: value, version: state.version, isExact: value == nil) }
        return version > state.version ? State(value: value, version: version, isExact: true) : nil
    }

    private func unchanged(_ state: State, seen version: UInt64?) -> State? {
        guard let version else { return state }
        guard state.admits(version) else { return nil }
        return version == 0 ? state : State(value: state.value, version: version, isExact: true)
    }

    private func refused(_ state: State, expecting expected: UInt64, seen: UInt64?) -> State? {
        if let seen { return seen == expected ? nil : unchanged(state, seen: seen) }
        return state.value != nil && state.isExact && state.version == expected ? nil : state
    }

    fileprivate static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

extension KeyValueModel.Call: CustomStringConvertible {
    /// As text for a report.
    package var description: String {
        switch self {
        case .get: "get"
        case .put(let value): "put \(KeyValueModel.text(value))"
        case .putIfAbsent(let value): "put \(KeyValueModel.text(value)) if absent"
        case .putIfPresent(let value): "put \(KeyValueModel.text(value)) if present"
        case .putIfVersion(let version, let value): "put \(KeyValueModel.text(value)) if version \(version)"
        case .delete: "delete"
        case .deleteIfVersion(let version): "delete if version \(version)"
        case .increment(let amount): "increment by \(amount)"
        case .append(let suffix): "append \(KeyValueModel.text(suffix))"
        }
    }
}

extension KeyValueModel.Result: CustomStringConvertible {
    /// As text for a report.
    package var description: String {
        func suffix(_ version: UInt64?) -> String { version.map { " (version \($0))" } ?? "" }
        return switch self {
        case .value(let value, let version): KeyValueModel.text(value) + suffix(version)
        case .absent: "absent"
        case .done(let version): "done" + suffix(version)
        case .accepted: "accepted"
        case .conditionFailed(let version): "condition failed" + suffix(version)
        case .number(let number, let version): "\(number)" + suffix(version)
        case .notANumber: "not a number"
        }
    }
}
