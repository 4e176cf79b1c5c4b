import Foundation

/// What one endpoint answered to a question that all are asked.
public struct NodeAnswer<Value: Sendable>: Sendable {
    /// Who was asked.
    public let endpoint: Endpoint
    /// What it said, or why it did not.
    public let result: Result<Value, ClientError>
    /// How long that took.
    public let elapsed: Duration

    /// An answer with these parts.
    public init(endpoint: Endpoint, result: Result<Value, ClientError>, elapsed: Duration) {
        self.endpoint = endpoint
        self.result = result
        self.elapsed = elapsed
    }
}

extension KVClient {
    /// How every node stands, asked in parallel, in the order of the HTTP endpoints.
    ///
    /// One that is down costs its own deadline (`limit`, the request timeout unless given) and no more. Nodes that were
    /// not named but that the others announce are asked too, and come last.
    public func status(within limit: Duration? = nil) async -> [NodeAnswer<NodeStatus>] {
        let limit = limit ?? configuration.requestTimeout
        var answers: [NodeAnswer<NodeStatus>] = await ask("/status", configuration.httpEndpoints, limit)
        var known = Set(answers.compactMap { try? $0.result.get().node })
        var further: [Endpoint] = []
        for status in answers.compactMap({ try? $0.result.get() }) where !status.isRemoved {
            for peer in status.peers {
                guard let endpoint = peer.addresses["http"].flatMap({ Endpoint($0) }), !known.contains(peer.id) else {
                    continue
                }
                known.insert(peer.id)
                if !configuration.httpEndpoints.contains(endpoint) { further.append(endpoint) }
            }
        }
        if !further.isEmpty { answers += await ask("/status", further, limit) }
        return answers
    }

    /// The count and content hash of every node's own tablets, asked in parallel.
    ///
    /// Reads all their data: give it time.
    public func digests(within limit: Duration) async -> [NodeAnswer<[ShardDigest]>] {
        struct Body: Decodable, Sendable {
            let digests: [ShardDigest]
        }
        let answers: [NodeAnswer<Body>] = await ask("/admin/v1/digest", configuration.httpEndpoints, limit)
        return answers.map { NodeAnswer(endpoint: $0.endpoint, result: $0.result.map(\.digests), elapsed: $0.elapsed) }
    }

    func ask<Value: Decodable & Sendable>(
        _ path: String,
        _ endpoints: [Endpoint],
        _ limit: Duration,
        method: String = "GET"
    ) async -> [NodeAnswer<Value>] {
        let http = self.http
        return await withTaskGroup(of: (Int, NodeAnswer<Value>).self) { group in
            for (index, endpoint) in endpoints.enumerated() {
                group.addTask {
                    let start = ContinuousClock.now
                    let result: Result<Value, ClientError>
                    do throws(ClientError) {
                        result = .success(
                            try Self.decode(
                                try await http.send(method, path, nil, to: endpoint, within: limit),
                                endpoint
                            )
                        )
                    } catch {
                        result = .failure(error)
                    }
                    return (index, NodeAnswer(endpoint: endpoint, result: result, elapsed: ContinuousClock.now - start))
                }
            }
            var answers: [(Int, NodeAnswer<Value>)] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    static func decode<Value: Decodable>(
        _ answer: HTTPAccess.Answer,
        _ endpoint: Endpoint
    ) throws(ClientError) -> Value {
        guard answer.status == 200 else { throw .httpStatus(answer.status, message: HTTPAccess.message(answer)) }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(answer.body))
        } catch {
            throw .protocolViolation("\(endpoint): the JSON is not as expected: \(error)")
        }
    }
}
