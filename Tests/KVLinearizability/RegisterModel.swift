/// A register of whole numbers with read, write and compare-and-set; it starts without a value.
package struct RegisterModel: SequentialModel {
    /// What a client asked for.
    package enum Call: Hashable, Sendable {
        case read
        case write(Int)
        case compareAndSet(expected: Int, new: Int)
    }

    /// What a client was told.
    package enum Result: Hashable, Sendable {
        /// A read's answer; nil is "no value".
        case value(Int?)
        /// The write or the compare-and-set took effect.
        case done
        /// The compare-and-set did not: the value differed.
        case differed
    }

    /// The register before any write.
    package let initial: Int? = nil

    /// The model; it has no options.
    package init() {}

    /// Reads, and compare-and-sets that found another value.
    package func isRead(_ call: Call, _ result: Result) -> Bool { call == .read || result == .differed }

    /// The value after `call`.
    package func step(_ state: Int?, _ call: Call, _ result: Result?) -> Int?? {
        switch (call, result) {
        case (.read, .value(let value)): value == state ? .some(state) : nil
        case (.read, nil): .some(state)
        case (.write(let value), .done), (.write(let value), nil): .some(value)
        case (.compareAndSet(let expected, let new), .done), (.compareAndSet(let expected, let new), nil):
            state == expected ? .some(new) : nil
        case (.compareAndSet(let expected, _), .differed): state == expected ? nil : .some(state)
        case (.read, _), (.write, _), (.compareAndSet, _): nil
        }
    }
}
