/// Who a client proved to be, with what it may do.
package struct Principal: Sendable, Equatable {
    /// The user's name.
    package let name: String
    /// Whether it may do everything.
    package let isAdministrator: Bool
    /// What it may do with which keys, ascending by prefix.
    package let grants: [AccessGrant]
    /// The credentials that it was proven by.
    package let credentialVersion: UInt64

    /// The user as a principal.
    package init(_ name: String, _ user: AccessUser) {
        self.name = name
        isAdministrator = user.isAdministrator
        grants = user.grants
        credentialVersion = user.credentialVersion
    }

    /// Whether it may do everything with every key, so that no key need be looked at.
    package var isUnrestricted: Bool { isAdministrator || grants.first == AccessGrant(.all, prefix: []) }

    /// Whether it may do all of this with a key.
    ///
    /// - Complexity: O(grants), at most `AccessLimits.grantsMax`.
    package func mayDo(_ permissions: Permissions, with key: UnsafeRawBufferPointer) -> Bool {
        if isAdministrator { return true }
        var missing = permissions
        for grant in grants where !missing.isDisjoint(with: grant.permissions) {
            if key.starts(with: grant.prefix) { missing.subtract(grant.permissions) }
            if missing.isEmpty { return true }
        }
        return false
    }

    /// The prefixes of the keys that it may read, ascending, none the beginning of another.
    package var readablePrefixes: [[UInt8]] {
        if isAdministrator { return [[]] }
        var prefixes: [[UInt8]] = []
        for grant in grants where grant.permissions.contains(.read) {
            // Ascending: what covers a prefix comes before it, and everything between starts with it too.
            if let last = prefixes.last, grant.prefix.starts(with: last) { continue }
            prefixes.append(grant.prefix)
        }
        return prefixes
    }
}

extension Request {
    /// Whether a principal may have this done, everything inside it included.
    func isAllowed(to principal: Principal) -> Bool {
        switch body {
        case .get, .head, .check: return principal.mayDo(.read, with: key)
        case .put, .delete: return principal.mayDo(flags.contains(.returnPrevious) ? .all : .write, with: key)
        case .expire: return principal.mayDo(.write, with: key)
        // Their answers tell what was there.
        case .increment, .append, .setRange, .addDecimal: return principal.mayDo(.all, with: key)
        case .rename(let destination, let options):
            let source: Permissions = options.contains(.keepsSource) ? .read : .all
            return principal.mayDo(source, with: key) && principal.mayDo(.write, with: destination)
        case .transaction(let inner):
            // What cannot be read is refused where it would be served, too.
            guard let requests = try? Request.requests(ofTransaction: inner) else { return false }
            return requests.allSatisfy { $0.isAllowed(to: principal) }
        case .inSession(_, let inner), .once(_, _, let inner):
            guard let request = try? Request(inner, from: .logged) else { return false }
            return request.isAllowed(to: principal)
        case .openSession, .keepSession, .endSession: return true
        case .clear, .advanceTime, .sweep, .sweepRecord: return principal.isAdministrator
        }
    }
}
