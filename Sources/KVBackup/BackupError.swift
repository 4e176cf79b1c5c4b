/// Why a backup cannot be made, read or restored.
package struct BackupError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of trouble it is.
    package enum Kind: Sendable, Equatable {
        /// What was asked for cannot be.
        case usage
        /// A file operation failed.
        case file
        /// The bytes are not those that were backed up.
        case damage
    }

    /// The kind.
    package let kind: Kind
    /// What was attempted, on what, and what to do.
    package let description: String

    /// An error of this kind.
    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
