import KVReplication
import KVStorage

/// A stored value as people think of it: the user's bytes, and version and expiry where it is a row of a node.
struct StoredRow {
    let bytes: [UInt8]
    var version: UInt64?
    var expiresAt: UInt64?

    init(key: [UInt8], value: [UInt8], isRaw: Bool) {
        if case .user = StoredKey(key, isRaw: isRaw),
            let row = value.withUnsafeBytes({ row in try? Self.decode(row) })
        {
            self = row
        } else {
            bytes = value
        }
    }

    private init(_ stored: StoredValue) {
        bytes = Array(stored.bytes)
        version = stored.version
        expiresAt = stored.expiresAt == 0 ? nil : stored.expiresAt
    }

    private static func decode(_ row: UnsafeRawBufferPointer) throws -> StoredRow { StoredRow(try StoredValue(row)) }

    var fields: [(String, JSONValue)] {
        var fields: [(String, JSONValue)] = []
        if let version { fields.append(("version", .number(version))) }
        if let expiresAt { fields.append(("expiresAt", .number(expiresAt))) }
        return fields
    }

    var text: String {
        (version.map { " version \($0)" } ?? "") + (expiresAt.map { " expires at \($0)" } ?? "")
    }
}
