/// A key of a string store with get, put and append; it starts as the empty string.
package struct StringStoreModel: SequentialModel {
    /// What a client asked for.
    package enum Call: Hashable, Sendable {
        case get
        case put(String)
        case append(String)
    }

    /// What a client was told.
    package enum Result: Hashable, Sendable {
        /// A get's answer.
        case value(String)
        /// The put or append took effect.
        case done
    }

    /// The string before any write.
    package let initial = ""

    /// The model; it has no options.
    package init() {}

    /// Gets.
    package func isRead(_ call: Call, _ result: Result) -> Bool { call == .get }

    /// The string after `call`.
    package func step(_ state: String, _ call: Call, _ result: Result?) -> String? {
        switch (call, result) {
        case (.get, .value(let value)): value == state ? state : nil
        case (.get, nil): state
        case (.put(let value), .done), (.put(let value), nil): value
        case (.append(let suffix), .done), (.append(let suffix), nil): state + suffix
        case (.get, _), (.put, _), (.append, _): nil
        }
    }
}
