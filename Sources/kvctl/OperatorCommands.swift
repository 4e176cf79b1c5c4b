import ArgumentParser
import KVClient

// What an operator asks all nodes at once: alarms, the log's level, what was slow.

/// One node's part of an answer that all gave.
private struct PerNode<Value: Encodable>: Encodable {
    let endpoint: String
    let error: String?
    let value: Value?

    init(_ answer: NodeAnswer<Value>) where Value: Sendable {
        endpoint = answer.endpoint.description
        switch answer.result {
        case .success(let found): (error, value) = (nil, found)
        case .failure(let failure): (error, value) = (failure.description, nil)
        }
    }
}

extension Session {
    func requireHTTP() throws {
        guard httpEndpoints.isEmpty else { return }
        throw ValidationError(
            "the HTTP addresses do not follow from the RESP addresses; name them with --http-endpoints"
        )
    }
}

/// Why all nodes failed, where it is for the same reason: that is the answer to the question, not a part of one.
private func commonFailure<Value>(_ answers: [NodeAnswer<Value>]) -> ClientError? {
    let failures = answers.compactMap { answer -> ClientError? in
        if case .failure(let error) = answer.result { error } else { nil }
    }
    guard let first = failures.first, failures.count == answers.count else { return nil }
    let isSame = failures.allSatisfy { error in
        switch (first, error) {
        case (.httpStatus(let one, _), .httpStatus(let other, _)): one == other
        case (.cannotConnect, .cannotConnect): true
        default: false
        }
    }
    return isSame ? first : nil
}

/// Shows what each node said, and ends with `partial` where one did not answer.
func showAnswers<Value: Encodable & Sendable>(
    _ answers: [NodeAnswer<Value>],
    _ format: OutputFormat,
    _ text: (Endpoint, Value) -> String
) throws -> CtlExit {
    if let failure = commonFailure(answers) { throw failure }
    let nodes = answers.map { PerNode($0) }
    let isWhole = nodes.allSatisfy { $0.error == nil }
    switch format {
    case .json:
        let missing = nodes.compactMap(\.error).joined(separator: "; ")
        try writeJSON(nodes, ok: isWhole, error: isWhole ? nil : .init(code: "partial", message: missing))
    case .table:
        for answer in answers {
            switch answer.result {
            case .success(let value): write(text(answer.endpoint, value))
            case .failure(let error): write("\(answer.endpoint): \(error)\n")
            }
        }
    }
    return isWhole ? .ok : .partial
}

struct AlarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alarm",
        abstract: "The alarms of all nodes; exit 6 where there is one.",
        discussion: """
            Every alarm clears itself when its cause is gone, so none can be cleared away. 'clear' looks again for up to --timeout whether             they have; docs/operations/alarms.md says what to do about each.
            """
    )

    @OptionGroup var global: GlobalOptions
    @Argument(help: "list or clear.", completion: .list(["list", "clear"])) var action = "list"

    func validate() throws {
        guard ["list", "clear"].contains(action) else { throw ValidationError("'\(action)': expected list or clear") }
    }

    private func stand(_ session: Session) async -> [NodeAnswer<[String]>] {
        await session.client.status().map { answer in
            NodeAnswer(endpoint: answer.endpoint, result: answer.result.map(\.alarms), elapsed: answer.elapsed)
        }
    }

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let deadline = ContinuousClock.now + global.timeout.duration
            var answers = await stand(session)
            while action == "clear", ContinuousClock.now < deadline,
                answers.contains(where: { answer in
                    if case .success(let alarms) = answer.result { !alarms.isEmpty } else { false }
                })
            {
                try await Task.sleep(for: .milliseconds(200))
                answers = await stand(session)
            }
            let exit = try showAnswers(answers, global.output) { endpoint, alarms in
                alarms.isEmpty ? "\(endpoint): none\n" : alarms.map { "\(endpoint): \($0)\n" }.joined()
            }
            let count = answers.reduce(0) { count, answer in
                guard case .success(let alarms) = answer.result else { return count }
                return count + alarms.count
            }
            return count > 0 ? .unhealthy : exit
        }
    }
}

struct LogLevelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-level",
        abstract: "Show from which level on the nodes log, or change it until they end.",
        discussion: "Name single nodes with --http-endpoints to change only theirs."
    )

    @OptionGroup var global: GlobalOptions
    @Argument(help: "trace, debug, info, notice, warning, error or critical; shows the level where none is given.")
    var level: String?

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            return try showAnswers(await session.client.logLevel(level), global.output) { "\($0): \($1)\n" }
        }
    }
}

struct SlowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slow",
        abstract: "The newest slow requests of each node (logging.slow_request), with the time of each stage."
    )

    @OptionGroup var global: GlobalOptions
    @Option(name: .long, help: "How many of each node, up to 128.") var limit = 10

    func validate() throws {
        guard (1...128).contains(limit) else { throw ValidationError("--limit is a number from 1 to 128") }
    }

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            return try showAnswers(await session.client.slowRequests(limit: limit), global.output) {
                endpoint,
                requests in
                requests.isEmpty ? "\(endpoint): nothing was slow\n" : table(endpoint, requests)
            }
        }
    }

    private func table(_ endpoint: Endpoint, _ requests: [SlowRequest]) -> String {
        requests.map { request in
            let stages = ["queue", "propose", "sync", "replicate", "apply"].map { name in
                "\(name) \(milliseconds(request.stagesUs[name] ?? 0))"
            }
            return "\(endpoint): \(milliseconds(request.totalUs)) ms  \(request.operation) \(request.key)"
                + "  (\(stages.joined(separator: ", ")); \(request.requests) together)\n"
        }.joined()
    }

    private func milliseconds(_ microseconds: UInt64) -> String {
        "\(microseconds / 1_000).\((microseconds % 1_000) / 100)"
    }
}
