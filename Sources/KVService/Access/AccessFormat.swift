package import KVBase

// What group 0 logs and stores of users, beside the controller's commands. docs/formats/access.md
//
//   command      u8 64 · u8 kind · fields
//     1 add user          text name · u8 is administrator · text hash · grants
//     2 set password      text name · text hash
//     3 set administrator text name · u8
//     4 grant             text name · grants
//     5 revoke            text name · varint count · per prefix: varint length · bytes
//     6 remove user       text name
//     7 add token         text name · u64 id · 32 bytes digest
//     8 remove token      text name · u64 id
//     9 enable            u8
//    10 bootstrap         text name · text hash · u8 is recovery
//   state        u8 version 1 · u8 is enabled · varint revision · varint count · per user: text name · u8 is administrator ·
//                text hash · varint credential version · grants · varint count · per token: u64 id · 32 bytes digest
//   grants       varint count · per grant: varint length · prefix · u8 permissions (1 read, 2 write)
//   text         varint length · UTF-8
//
// Users are ascending by name, grants by prefix, tokens by id, each once, so that equal states have equal bytes.

/// The numbers of the format.
package enum AccessFormat {
    /// What a command starts with; the controller's own start with less.
    package static let commandNumber: UInt8 = 64

    static let stateVersion: UInt8 = 1
    static let addUser: UInt8 = 1
    static let setPassword: UInt8 = 2
    static let setAdministrator: UInt8 = 3
    static let grant: UInt8 = 4
    static let revoke: UInt8 = 5
    static let removeUser: UInt8 = 6
    static let addToken: UInt8 = 7
    static let removeToken: UInt8 = 8
    static let enable: UInt8 = 9
    static let bootstrap: UInt8 = 10
}

extension AccessCommand {
    /// The command's bytes.
    package var encoded: [UInt8] {
        var bytes = [AccessFormat.commandNumber]
        switch self {
        case .addUser(let name, let isAdministrator, let hash, let grants):
            bytes.append(AccessFormat.addUser)
            bytes.append(text: name)
            bytes.append(flag: isAdministrator)
            bytes.append(text: hash)
            bytes.append(grants)
        case .setPassword(let name, let hash):
            bytes.append(AccessFormat.setPassword)
            bytes.append(text: name)
            bytes.append(text: hash)
        case .setAdministrator(let name, let isAdministrator):
            bytes.append(AccessFormat.setAdministrator)
            bytes.append(text: name)
            bytes.append(flag: isAdministrator)
        case .grant(let name, let grants):
            bytes.append(AccessFormat.grant)
            bytes.append(text: name)
            bytes.append(grants)
        case .revoke(let name, let prefixes):
            bytes.append(AccessFormat.revoke)
            bytes.append(text: name)
            bytes.append(varint: UInt64(prefixes.count))
            for prefix in prefixes { bytes.append(lengthPrefixed: prefix) }
        case .removeUser(let name):
            bytes.append(AccessFormat.removeUser)
            bytes.append(text: name)
        case .addToken(let name, let id, let digest):
            bytes.append(AccessFormat.addToken)
            bytes.append(text: name)
            bytes.append(littleEndian: id)
            bytes += digest
        case .removeToken(let name, let id):
            bytes.append(AccessFormat.removeToken)
            bytes.append(text: name)
            bytes.append(littleEndian: id)
        case .enable(let isOn):
            bytes.append(AccessFormat.enable)
            bytes.append(flag: isOn)
        case .bootstrap(let name, let hash, let isRecovery):
            bytes.append(AccessFormat.bootstrap)
            bytes.append(text: name)
            bytes.append(text: hash)
            bytes.append(flag: isRecovery)
        }
        return bytes
    }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for what no encoder writes.
    package init(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let number = try reader.readByte()
        guard number == AccessFormat.commandNumber else {
            throw .invalid(offset: 0, what: "access command \(number)")
        }
        let kind = try reader.readByte()
        guard kind != AccessFormat.enable else {
            self = .enable(try reader.readFlag())
            try reader.expectEnd()
            return
        }
        let name = try reader.readText(atMost: AccessLimits.nameBytesMax)
        switch kind {
        case AccessFormat.addUser:
            let isAdministrator = try reader.readFlag()
            let hash = try reader.readText(atMost: AccessLimits.hashBytesMax)
            self = .addUser(
                name,
                isAdministrator: isAdministrator,
                passwordHash: hash,
                grants: try reader.readGrants()
            )
        case AccessFormat.setPassword:
            self = .setPassword(name, hash: try reader.readText(atMost: AccessLimits.hashBytesMax))
        case AccessFormat.setAdministrator: self = .setAdministrator(name, try reader.readFlag())
        case AccessFormat.grant: self = .grant(name, try reader.readGrants())
        case AccessFormat.revoke:
            var prefixes: [[UInt8]] = []
            for _ in 0..<(try reader.readCount(atMost: AccessLimits.grantsMax)) {
                prefixes.append(try reader.readBlob(atMost: AccessLimits.prefixBytesMax))
            }
            self = .revoke(name, prefixes: prefixes)
        case AccessFormat.removeUser: self = .removeUser(name)
        case AccessFormat.addToken:
            let id: UInt64 = try reader.readLittleEndian()
            self = .addToken(name, id: id, digest: [UInt8](try reader.readBytes(SHA256.byteCount)))
        case AccessFormat.removeToken: self = .removeToken(name, id: try reader.readLittleEndian())
        case AccessFormat.bootstrap:
            let hash = try reader.readText(atMost: AccessLimits.hashBytesMax)
            self = .bootstrap(name, hash: hash, isRecovery: try reader.readFlag())
        default: throw .invalid(offset: 1, what: "access command of kind \(kind)")
        }
        try reader.expectEnd()
    }
}

extension AccessState {
    /// The state's bytes, equal for equal states.
    package var encoded: [UInt8] {
        var bytes = [AccessFormat.stateVersion]
        bytes.append(flag: isEnabled)
        bytes.append(varint: revision)
        bytes.append(varint: UInt64(users.count))
        for (name, user) in users.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            bytes.append(text: name)
            bytes.append(flag: user.isAdministrator)
            bytes.append(text: user.passwordHash)
            bytes.append(varint: user.credentialVersion)
            bytes.append(user.grants)
            bytes.append(varint: UInt64(user.tokens.count))
            for (id, digest) in user.tokens.sorted(by: { $0.key < $1.key }) {
                bytes.append(littleEndian: id)
                bytes += digest
            }
        }
        return bytes
    }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for what no encoder writes.
    package init(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard version == AccessFormat.stateVersion else {
            throw .invalid(offset: 0, what: "access state of version \(version)")
        }
        let isEnabled = try reader.readFlag()
        let revision = try reader.readVarint()
        var users: [String: AccessUser] = [:]
        var last: String?
        for _ in 0..<(try reader.readCount(atMost: AccessLimits.usersMax)) {
            let start = reader.offset
            let name = try reader.readText(atMost: AccessLimits.nameBytesMax)
            if let last, !last.utf8.lexicographicallyPrecedes(name.utf8) {
                throw .invalid(offset: start, what: "user '\(name)' after '\(last)'")
            }
            last = name
            var user = AccessUser(
                isAdministrator: try reader.readFlag(),
                passwordHash: try reader.readText(atMost: AccessLimits.hashBytesMax)
            )
            user.credentialVersion = try reader.readVarint()
            user.grants = try reader.readGrants()
            var lastToken: UInt64?
            for _ in 0..<(try reader.readCount(atMost: AccessLimits.tokensMax)) {
                let start = reader.offset
                let id: UInt64 = try reader.readLittleEndian()
                if let lastToken, id <= lastToken { throw .invalid(offset: start, what: "tokens out of order") }
                lastToken = id
                user.tokens[id] = [UInt8](try reader.readBytes(SHA256.byteCount))
            }
            users[name] = user
        }
        try reader.expectEnd()
        self.init(isEnabled: isEnabled, users: users, revision: revision)
    }
}

extension [UInt8] {
    fileprivate mutating func append(text: String) { append(lengthPrefixed: Array(text.utf8)) }

    fileprivate mutating func append(flag: Bool) { append(flag ? 1 : 0) }

    fileprivate mutating func append(_ grants: [AccessGrant]) {
        append(varint: UInt64(grants.count))
        for grant in grants {
            append(lengthPrefixed: grant.prefix)
            append(grant.permissions.rawValue)
        }
    }
}

extension ByteReader {
    fileprivate mutating func readFlag() throws(DecodingError) -> Bool {
        let byte = try readByte()
        guard byte < 2 else { throw .invalid(offset: offset - 1, what: "flag \(byte)") }
        return byte == 1
    }

    fileprivate mutating func readCount(atMost countMax: Int) throws(DecodingError) -> Int {
        let start = offset
        let count = try readVarint()
        guard count <= UInt64(countMax) else { throw .invalid(offset: start, what: "\(count) items, over \(countMax)") }
        return Int(count)
    }

    fileprivate mutating func readBlob(atMost bytesMax: Int) throws(DecodingError) -> [UInt8] {
        let start = offset
        let bytes = try readLengthPrefixed()
        guard bytes.count <= bytesMax else {
            throw .invalid(offset: start, what: "\(bytes.count) bytes, over \(bytesMax)")
        }
        return [UInt8](bytes)
    }

    fileprivate mutating func readText(atMost bytesMax: Int) throws(DecodingError) -> String {
        let start = offset
        let bytes = try readBlob(atMost: bytesMax)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid(offset: start, what: "text that is no UTF-8")
        }
        return text
    }

    fileprivate mutating func readGrants() throws(DecodingError) -> [AccessGrant] {
        var grants: [AccessGrant] = []
        for _ in 0..<(try readCount(atMost: AccessLimits.grantsMax)) {
            let start = offset
            let prefix = try readBlob(atMost: AccessLimits.prefixBytesMax)
            let permissions = Permissions(rawValue: try readByte())
            guard !permissions.isEmpty, permissions.isSubset(of: .all) else {
                throw .invalid(offset: start, what: "permissions \(permissions.rawValue)")
            }
            grants.append(AccessGrant(permissions, prefix: prefix))
        }
        return grants
    }

    fileprivate func expectEnd() throws(DecodingError) {
        guard isAtEnd else { throw .invalid(offset: offset, what: "\(remaining) bytes left over") }
    }
}
