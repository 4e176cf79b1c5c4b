/// A request that was slow, as the node that answered it kept it.
public struct SlowRequest: Codable, Sendable {
    /// Tells it from others of that node's process.
    public let id: String
    /// When it was answered, in milliseconds since 1970.
    public let finishedAtMs: UInt64
    /// What it did.
    public let operation: String
    /// Its key as text, cut off where it is long; what is not printable is escaped.
    public let key: String
    /// Its group.
    public let group: String
    /// Its shard.
    public let shard: String
    /// How many requests shared its entry or round.
    public let requests: UInt64
    /// How long it took, in microseconds.
    public let totalUs: UInt64
    /// Where the time went, in microseconds: queue, propose, sync, replicate, apply.
    public let stagesUs: [String: UInt64]
}

extension KVClient {
    /// From which level on every node logs, or with `newLevel`, is to log from now until it ends; asked in parallel.
    public func logLevel(_ newLevel: String? = nil, within limit: Duration? = nil) async -> [NodeAnswer<String>] {
        struct Body: Decodable, Sendable {
            let level: String
        }
        let query = newLevel.map { "?level=" + HTTPAccess.percentEncoded(Array($0.utf8)) } ?? ""
        let answers: [NodeAnswer<Body>] = await ask(
            "/admin/v1/log-level\(query)",
            configuration.httpEndpoints,
            limit ?? configuration.requestTimeout,
            method: newLevel == nil ? "GET" : "PUT"
        )
        return answers.map { NodeAnswer(endpoint: $0.endpoint, result: $0.result.map(\.level), elapsed: $0.elapsed) }
    }

    /// The newest slow requests of every node, newest first, at most 128 each; asked in parallel.
    public func slowRequests(limit count: Int, within limit: Duration? = nil) async -> [NodeAnswer<[SlowRequest]>] {
        struct Body: Decodable, Sendable {
            let slowRequests: [SlowRequest]
        }
        let answers: [NodeAnswer<Body>] = await ask(
            "/admin/v1/slow-requests?limit=\(count)",
            configuration.httpEndpoints,
            limit ?? configuration.requestTimeout
        )
        return answers.map {
            NodeAnswer(endpoint: $0.endpoint, result: $0.result.map(\.slowRequests), elapsed: $0.elapsed)
        }
    }
}
