import ArgumentParser
import Foundation
import KVClient

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The cluster of this name; see 'kvctl context'. Default: $KVCTL_CONTEXT.", valueName: "name")
    )
    var context: String?

    @Option(
        help: ArgumentHelp(
            "RESP addresses, comma-separated; a bare port belongs to the host before it. Default: $KVCTL_ENDPOINTS, else the local cluster "
                + "(127.0.0.1:6401,6402,6403), else the local single node (127.0.0.1:6400).",
            valueName: "host:port,…"
        )
    )
    var endpoints: String?

    @Option(
        help: ArgumentHelp(
            "HTTP addresses. Default: $KVCTL_HTTP_ENDPOINTS; else, for RESP ports 6400 to 6409, the port 8080 to 8089 of the same host.",
            valueName: "host:port,…"
        )
    )
    var httpEndpoints: String?

    @Option(name: [.customShort("o"), .customLong("output")], help: "table, json or yaml.")
    var choice: OutputChoice?

    var outputChoice: OutputChoice { choice ?? Session.inherited?.output ?? .table }
    var output: OutputFormat { outputChoice.format }

    @Option(
        name: .customLong("timeout"),
        help: ArgumentHelp("How long a request may take, such as 500ms, 5s, 1m. Default: 5s.", valueName: "duration")
    )
    var givenTimeout: TimeSpan?

    var timeout: TimeSpan { givenTimeout ?? TimeSpan(.seconds(5)) }

    @Option(help: "How keys are typed and shown: utf8, hex or base64.")
    var keyFormat = KeyFormat.utf8

    @OptionGroup(title: "Security") var security: SecurityOptions

    /// Whether the command names a cluster or a user of its own, in a shell that has one.
    private var namesCluster: Bool {
        context != nil || endpoints != nil || httpEndpoints != nil || security.isGiven
    }

    /// Runs a command with a client, and ends the process as its outcome says.
    func perform(_ body: (Session) async throws -> CtlExit) async throws {
        try await OutputChoice.$current.withValue(outputChoice) { try await run(body) }
    }

    private func run(_ body: (Session) async throws -> CtlExit) async throws {
        let outcome: CtlExit
        do {
            if let inherited = Session.inherited, !namesCluster {
                let outcome = try await body(inherited)
                if outcome != .ok { throw ExitCode(outcome.rawValue) }
                return
            }
            let session = try await Session(self)
            do {
                outcome = try await body(session)
            } catch {
                await session.client.shutdown()
                throw error
            }
            await session.client.shutdown()
        } catch let error as ValidationError {
            throw error
        } catch let code as ExitCode {
            throw code
        } catch {
            let failure = CtlFailure(error)
            switch output {
            case .json:
                try writeJSON(Nothing?.none, ok: false, error: .init(code: failure.code, message: failure.message))
            case .table: write("kvctl: \(failure.message)\n", to: .standardError)
            }
            throw ExitCode(failure.exit.rawValue)
        }
        if outcome != .ok { throw ExitCode(outcome.rawValue) }
    }
}

/// A command's view of the cluster.
struct Session {
    /// In a shell: the one that its commands share.
    @TaskLocal static var inherited: Session?

    let client: KVClient
    let output: OutputChoice
    let endpoints: [Endpoint]
    let httpEndpoints: [Endpoint]

    init(_ options: GlobalOptions) async throws {
        let environment = ProcessInfo.processInfo.environment
        output = options.outputChoice
        let context = try Contexts.chosen(
            options.context,
            addressesAreGiven: options.endpoints != nil || environment["KVCTL_ENDPOINTS"] != nil
        )
        // A context that was named by a flag goes before the environment.
        let variables = options.context == nil ? environment : [:]
        if let text = options.endpoints ?? variables["KVCTL_ENDPOINTS"] ?? context?.endpoints {
            endpoints = try Self.parse(text)
        } else {
            endpoints = await Self.local()
        }
        if let text = options.httpEndpoints ?? variables["KVCTL_HTTP_ENDPOINTS"] ?? context?.httpEndpoints {
            httpEndpoints = try Self.parse(text)
        } else {
            httpEndpoints = endpoints.filter { (6400...6409).contains($0.port) }.map {
                Endpoint(host: $0.host, port: $0.port - 6400 + 8080)
            }
        }
        var configuration = KVClient.Configuration(
            endpoints: endpoints,
            httpEndpoints: httpEndpoints,
            requestTimeout: options.timeout.duration,
            connectTimeout: min(options.timeout.duration, .seconds(1)),
            credentials: try options.security.credentials(context, variables),
            tls: try options.security.clientTLS(context, variables)
        )
        // A session for one write would cost more than the write: where its answer is missing, exit code 4 says so.
        configuration.repeatsWrites = false
        configuration.findsLeaders = false
        client = KVClient(configuration)
    }

    /// Reads `host:port,port,host:port`.
    static func parse(_ text: String) throws -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for part in text.split(separator: ",") {
            let word = part.trimmingCharacters(in: .whitespaces)
            if let port = Int(word), (1...65_535).contains(port) {
                endpoints.append(Endpoint(host: endpoints.last?.host ?? "127.0.0.1", port: port))
            } else if let endpoint = Endpoint(word) {
                endpoints.append(endpoint)
            } else {
                throw ValidationError("'\(word)' is no address; expected host:port, [ipv6]:port or a port")
            }
        }
        guard !endpoints.isEmpty else { throw ValidationError("no address in '\(text)'") }
        return endpoints
    }

    /// The local cluster; the local single node only where nothing of a cluster listens, so that the two are never mixed.
    private static func local() async -> [Endpoint] {
        let cluster = [6401, 6402, 6403].map { Endpoint(host: "127.0.0.1", port: $0) }
        let single = Endpoint(host: "127.0.0.1", port: 6400)
        for endpoint in cluster where await listens(endpoint) { return cluster }
        return await listens(single) ? [single] : cluster
    }

    private static func listens(_ endpoint: Endpoint) async -> Bool {
        do {
            try await RESPConnection.connect(to: endpoint).close()
            return true
        } catch {
            return false
        }
    }
}

/// A length of time with its unit, as it is typed.
struct TimeSpan: ExpressibleByArgument, CustomStringConvertible {
    let duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        for (unit, milliseconds) in units where argument.hasSuffix(unit) {
            guard let number = Int64(argument.dropLast(unit.count)), number > 0 else { continue }
            let (total, overflow) = number.multipliedReportingOverflow(by: milliseconds)
            guard !overflow else { return nil }
            duration = .milliseconds(total)
            return
        }
        return nil
    }

    var description: String { "\(duration)" }
    var defaultValueDescription: String {
        let milliseconds = duration / .milliseconds(1)
        return milliseconds >= 1000 ? "\(Int(milliseconds / 1000))s" : "\(Int(milliseconds))ms"
    }
}
