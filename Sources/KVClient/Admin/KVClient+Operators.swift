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

/// A setting of a running node.
public struct NodeSetting: Codable, Sendable, Equatable {
    /// Its keys from the root, joined by dots.
    public let name: String
    /// What it is; nil where nobody set it and there is no default.
    public let value: String?
    /// Where the value comes from.
    public let origin: String
    /// Whether it can change while the node runs.
    public let live: Bool
}

/// What a compaction did to a node's tablet of a shard.
public struct CompactedShard: Codable, Sendable, Equatable {
    /// The group.
    public let group: String
    /// The shard.
    public let shard: String
    /// The bytes of its tables before.
    public let bytesBefore: UInt64
    /// The bytes of its tables after.
    public let bytesAfter: UInt64
}

extension KVClient {
    private struct SettingsBody: Decodable, Sendable {
        let settings: [NodeSetting]
    }

    /// Every setting of every node; asked in parallel.
    public func settings(within limit: Duration? = nil) async -> [NodeAnswer<[NodeSetting]>] {
        let answers: [NodeAnswer<SettingsBody>] = await ask(
            "/admin/v1/config",
            configuration.httpEndpoints,
            limit ?? configuration.requestTimeout
        )
        return answers.map { NodeAnswer(endpoint: $0.endpoint, result: $0.result.map(\.settings), elapsed: $0.elapsed) }
    }

    /// Changes a setting of every node that can change while they run, until they end; asked in parallel.
    public func changeSetting(
        _ name: String,
        to value: String,
        within limit: Duration? = nil
    ) async -> [NodeAnswer<[NodeSetting]>] {
        let query =
            "?name=" + HTTPAccess.percentEncoded(Array(name.utf8)) + "&value="
            + HTTPAccess.percentEncoded(Array(value.utf8))
        let answers: [NodeAnswer<SettingsBody>] = await ask(
            "/admin/v1/config\(query)",
            configuration.httpEndpoints,
            limit ?? configuration.requestTimeout,
            method: "PUT"
        )
        return answers.map { NodeAnswer(endpoint: $0.endpoint, result: $0.result.map(\.settings), elapsed: $0.elapsed) }
    }

    /// Has every node rewrite its own tables (of one shard, where named); asked in parallel, answered when they are done.
    public func compact(shard: String? = nil, within limit: Duration) async -> [NodeAnswer<[CompactedShard]>] {
        struct Body: Decodable, Sendable {
            let shards: [CompactedShard]
        }
        let query = shard.map { "?shard=" + HTTPAccess.percentEncoded(Array($0.utf8)) } ?? ""
        let answers: [NodeAnswer<Body>] = await ask(
            "/admin/v1/compact\(query)",
            configuration.httpEndpoints,
            limit,
            method: "POST"
        )
        return answers.map { NodeAnswer(endpoint: $0.endpoint, result: $0.result.map(\.shards), elapsed: $0.elapsed) }
    }

    /// What every node answers to a GET of this path, as it is, whatever its status; asked in parallel.
    public func pages(_ path: String, within limit: Duration? = nil) async -> [NodeAnswer<[UInt8]>] {
        let (http, limit) = (http, limit ?? configuration.requestTimeout)
        return await withTaskGroup(of: (Int, NodeAnswer<[UInt8]>).self) { group in
            for (index, endpoint) in configuration.httpEndpoints.enumerated() {
                group.addTask {
                    let start = ContinuousClock.now
                    let result: Result<[UInt8], ClientError>
                    do throws(ClientError) {
                        let answer = try await http.fetch(path, from: endpoint, within: limit)
                        result =
                            answer.status == 200
                            ? .success(answer.body)
                            : .failure(.httpStatus(answer.status, message: HTTPAccess.message(answer)))
                    } catch {
                        result = .failure(error)
                    }
                    return (index, NodeAnswer(endpoint: endpoint, result: result, elapsed: .now - start))
                }
            }
            var answers: [(Int, NodeAnswer<[UInt8]>)] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Does operations of one slot together, or none of them, as `POST /v1/batch` takes them: the body is its JSON, and so is what is
    /// returned.
    /// - Throws: `ClientError`; `.httpStatus(409, …)` names the condition that did not hold, `.unknownOutcome` where the batch may have
    ///   been done. It is not repeated by itself once it was sent: give it an idempotency key and repeat it.
    public func batch(_ body: [UInt8], idempotencyKey: String? = nil) async throws(ClientError) -> [UInt8] {
        guard !configuration.httpEndpoints.isEmpty else { throw .invalidArgument("no HTTP endpoint was given") }
        var last: ClientError = .closed
        let deadline = ContinuousClock.now + configuration.requestTimeout
        for endpoint in configuration.httpEndpoints where ContinuousClock.now < deadline {
            do throws(ClientError) {
                let answer = try await http.send(
                    "POST",
                    "/v1/batch",
                    body,
                    headers: idempotencyKey.map { [("Idempotency-Key", $0)] } ?? [],
                    to: endpoint,
                    within: left(deadline)
                )
                switch answer.status {
                case 200: return answer.body
                case 503, 429: last = .unavailable("\(endpoint): \(HTTPAccess.message(answer))")
                // A proxy's error, or one within a node, does not say that nothing was done.
                case 500, 502, 504: throw .unknownOutcome("\(endpoint): \(HTTPAccess.message(answer))")
                default: throw .httpStatus(answer.status, message: HTTPAccess.message(answer))
                }
            } catch {
                switch error {
                case .cannotConnect, .unavailable: last = error
                case .connectionLost(let text), .timedOut(let text): throw .unknownOutcome(text)
                default: throw error
                }
            }
        }
        throw last
    }
}
