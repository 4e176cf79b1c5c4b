/// What may be done with the keys under a prefix.
package struct Permissions: OptionSet, Sendable, Hashable {
    /// The bits; stored.
    package let rawValue: UInt8
    /// Permissions from bits.
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Values, and whether keys exist.
    package static let read = Permissions(rawValue: 1)
    /// Writing and removing.
    package static let write = Permissions(rawValue: 2)
    /// All bits that this version knows.
    package static let all: Permissions = [.read, .write]

    /// As people write them: `r`, `w` or `rw`.
    package var text: String {
        (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "")
    }

    /// Reads `r`, `w`, `rw`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        switch text {
        case "r": self = .read
        case "w": self = .write
        case "rw": self = .all
        default: return nil
        }
    }
}

/// Permissions for the keys that start with a prefix; the empty one is that of all keys.
package struct AccessGrant: Sendable, Equatable {
    /// What the keys start with.
    package var prefix: [UInt8]
    /// What may be done with them.
    package var permissions: Permissions

    /// A grant with these parts.
    package init(_ permissions: Permissions, prefix: [UInt8]) {
        self.prefix = prefix
        self.permissions = permissions
    }
}

/// A user as group 0 keeps it.
package struct AccessUser: Sendable, Equatable {
    /// Whether it may do everything: all keys, and administration.
    package var isAdministrator: Bool
    /// The password under a slow hash, in the form of crypt(5); empty where there is none.
    package var passwordHash: String
    /// Grows with every change of password or tokens, so that nothing that was proven before counts any more.
    package var credentialVersion: UInt64
    /// Ascending by prefix, each once.
    package var grants: [AccessGrant]
    /// SHA-256 of each token's secret, by the token's id.
    package var tokens: [UInt64: [UInt8]]

    /// A user with these parts and no token.
    package init(isAdministrator: Bool, passwordHash: String, credentialVersion: UInt64 = 1, grants: [AccessGrant] = [])
    {
        self.isAdministrator = isAdministrator
        self.passwordHash = passwordHash
        self.credentialVersion = credentialVersion
        self.grants = grants
        tokens = [:]
    }
}

/// The bounds of users and what belongs to them.
package enum AccessLimits {
    /// How many users there may be.
    package static let usersMax = 1024
    /// How many prefixes a user may be granted.
    package static let grantsMax = 64
    /// How many tokens a user may have.
    package static let tokensMax = 16
    /// The longest name in bytes.
    package static let nameBytesMax = 64
    /// The longest hash of a password in bytes: what crypt(3) may return.
    package static let hashBytesMax = 384
    /// The longest password in bytes: what crypt(3) takes, without its NUL.
    package static let passwordBytesMax = 511
    /// The longest prefix in bytes.
    package static let prefixBytesMax = 1024

    /// Why a name is none; nil where it is one.
    package static func fault(ofName name: String) -> String? {
        let isPlain = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || byte == 0x2d || byte == 0x2e || byte == 0x5f || byte == 0x40
        }
        guard isPlain, (1...nameBytesMax).contains(name.utf8.count) else {
            return "a user's name is 1 to \(nameBytesMax) of the letters, digits and '-', '.', '_', '@'"
        }
        return nil
    }

    /// Why a password is none; nil where it is one.
    package static func fault(ofPassword password: [UInt8]) -> String? {
        guard (8...passwordBytesMax).contains(password.count) else {
            return "a password has 8 to \(passwordBytesMax) bytes"
        }
        return password.contains(0) ? "a password has no NUL byte" : nil
    }
}
