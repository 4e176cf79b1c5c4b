/// Why a node does not start: what was found, and what to do.
package struct NodeError: Error, Sendable, CustomStringConvertible {
    /// One line for a person.
    package let description: String

    /// An error that says this.
    package init(_ description: String) {
        self.description = description
    }
}
