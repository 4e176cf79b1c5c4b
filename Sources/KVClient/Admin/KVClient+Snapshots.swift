import KVBase

/// A snapshot that a node holds until it is ended or not read for long.
public struct HeldSnapshot: Codable, Equatable, Sendable {
    /// A file of a tablet.
    public struct File: Codable, Equatable, Sendable {
        /// Its name.
        public let name: String
        /// Its size in bytes.
        public let size: UInt64
    }

    /// A shard.
    public struct Tablet: Codable, Equatable, Sendable {
        /// The shard.
        public let shard: UInt32
        /// Its ownership epoch.
        public let epoch: UInt64
        /// Its directory in the node: a table of the same name and size in the same directory is the same table.
        public let directory: String
        /// The last entry that concerned it.
        public let appliedIndex: UInt64
        /// Its revision counter.
        public let revision: UInt64
        /// The leader's time that was logged last, in milliseconds since 1970.
        public let loggedTimeMs: UInt64
        /// The hash over all its mutations.
        public let chainedHash: String
        /// Its files.
        public let files: [File]
    }

    /// A group's shards, all at one index.
    public struct Group: Codable, Equatable, Sendable {
        /// The group.
        public let group: UInt32
        /// The index.
        public let index: UInt64
        /// The term of the entry there.
        public let term: UInt64
        /// The shards.
        public let tablets: [Tablet]
    }

    /// What it is read and ended by.
    public let id: String
    /// The cluster.
    public let cluster: String
    /// The node.
    public let node: String
    /// The life of the node's data directory.
    public let incarnation: String
    /// How many shards the cluster has.
    public let shardCount: Int
    /// Whether it is one moment of the whole cluster.
    public let fenced: Bool
    /// The groups that own shards.
    public let groups: [Group]
}

/// Applied entries of a group's log.
public struct LogPiece: Equatable, Sendable {
    /// The last of these entries; the index before the first asked for where there is none.
    public let last: UInt64
    /// The last that the node has applied.
    public let applied: UInt64
    /// The entries, as a record of the log holds them.
    public let bytes: [UInt8]
}

extension KVClient {
    /// Has a node cut a snapshot of all its shards; with `fence` one moment of the whole cluster, which only a leader of all groups makes.
    /// - Throws: `ClientError`; `.httpStatus(503, …)` where another node leads or no snapshot can be made now.
    public func beginSnapshot(
        on endpoint: Endpoint,
        fence: Bool,
        within limit: Duration
    ) async throws(ClientError) -> HeldSnapshot {
        let path = "/admin/v1/snapshots" + (fence ? "?fence=true" : "")
        return try Self.decode(try await http.send("POST", path, [], to: endpoint, within: limit), endpoint)
    }

    /// Reads part of a file of a snapshot, up to 4 MiB, held against its checksum.
    /// - Throws: `ClientError`; `.protocolViolation` where the bytes do not fit their checksum.
    public func readSnapshot(
        _ id: String,
        on endpoint: Endpoint,
        path: String,
        offset: UInt64,
        within limit: Duration
    ) async throws(ClientError) -> [UInt8] {
        let query = "?path=\(HTTPAccess.percentEncoded(Array(path.utf8)))&offset=\(offset)"
        return try await checked("/admin/v1/snapshots/\(id)\(query)", endpoint, limit)
    }

    /// Removes a snapshot that a node holds.
    /// - Throws: `ClientError`.
    public func endSnapshot(_ id: String, on endpoint: Endpoint, within limit: Duration) async throws(ClientError) {
        let answer = try await http.send("DELETE", "/admin/v1/snapshots/\(id)", nil, to: endpoint, within: limit)
        guard answer.status == 200 else {
            throw .httpStatus(answer.status, message: HTTPAccess.message(answer))
        }
    }

    /// Reads applied entries of a group's log from `index` on, about 4 MiB at most.
    /// - Throws: `ClientError`; `.httpStatus(404, …)` where the node keeps that part of its log no more.
    public func readLog(
        group: UInt32,
        from index: UInt64,
        on endpoint: Endpoint,
        within limit: Duration
    ) async throws(ClientError) -> LogPiece {
        let bytes = try await checked("/admin/v1/log?group=\(group)&from=\(index)", endpoint, limit)
        guard bytes.count >= 16 else { throw .protocolViolation("\(endpoint): a piece of log of \(bytes.count) bytes") }
        func number(_ offset: Int) -> UInt64 {
            bytes[offset..<(offset + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return LogPiece(last: number(0), applied: number(8), bytes: Array(bytes[16...]))
    }

    private func checked(
        _ path: String,
        _ endpoint: Endpoint,
        _ limit: Duration
    ) async throws(ClientError) -> [UInt8] {
        let answer = try await http.fetch(path, from: endpoint, within: limit)
        guard answer.status == 200 else {
            throw .httpStatus(answer.status, message: HTTPAccess.message(answer))
        }
        guard answer.body.count >= 4 else { throw .protocolViolation("\(endpoint)\(path): no checksum came") }
        let bytes = Array(answer.body[4...])
        let expected = answer.body[..<4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard CRC32C.checksum(bytes) == expected else {
            throw .protocolViolation("\(endpoint)\(path): the bytes do not fit their checksum")
        }
        return bytes
    }
}
