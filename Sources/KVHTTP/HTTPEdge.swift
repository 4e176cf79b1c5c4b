import HTTPTypes
import Hummingbird
import KVBase
import KVService
import KVTelemetry
import Logging
import NIOCore

/// Answers requests: finds the route, runs it, and gives every failure its one shape.
struct HTTPEdge: HTTPResponder {
    typealias Context = HTTPContext

    /// The service; within a request, as its client may use it.
    var service: any KeyValueService
    /// Who finds out whether clients are who they say; nil where nobody is asked.
    let authenticator: Authenticator?
    /// Who changes users; nil where nobody can.
    let users: (any AccessAdministration)?
    /// Within a request: whether its client may see what concerns operators.
    var isKnown = true
    let admin: (any AdminService)?
    let backup: (any BackupService)?
    let operations: (any OperationsService)?
    let settings: HTTPSettings
    let registry: MetricRegistry
    let metrics: HTTPMetrics
    let scrapes: ScrapeCache
    let crossOrigin: CrossOrigin
    let logger: Logger

    init(
        _ service: any KeyValueService,
        admin: (any AdminService)? = nil,
        authenticator: Authenticator?,
        users: (any AccessAdministration)?,
        backup: (any BackupService)? = nil,
        operations: (any OperationsService)? = nil,
        _ settings: HTTPSettings,
        _ registry: MetricRegistry,
        _ logger: Logger
    ) {
        self.service = service
        self.authenticator = authenticator
        self.users = users
        self.admin = admin
        self.backup = backup
        self.operations = operations
        self.settings = settings
        self.registry = registry
        self.logger = logger
        metrics = HTTPMetrics(registry)
        crossOrigin = CrossOrigin(settings.crossOrigins)
        scrapes = ScrapeCache(registry, lifetime: settings.scrapeLifetime)
    }

    func respond(to request: Request, context: HTTPContext) async throws -> Response {
        let started = NIODeadline.now()
        let requestID = requestID(request)
        var endpoint = Endpoint.unknown
        var response: Response
        do throws(HTTPFailure) {
            response = try await authorized(request, context, requestID, &endpoint)
        } catch {
            metrics.reject(error.code)
            response = failure(error, requestID, context)
            if request.method == .head { response = Response(status: response.status, headers: response.headers) }
        }
        response.headers[.requestID] = requestID
        crossOrigin.mark(&response, to: request)
        let elapsed = UInt64(max(0, (NIODeadline.now() - started).nanoseconds))
        metrics.record(endpoint, request.method, response.status, nanoseconds: elapsed)
        logIfNotable(request.method, endpoint, response.status, requestID, elapsed)
        return response
    }

    /// The table of routes.
    func route(
        _ request: Request,
        _ context: HTTPContext,
        _ endpoint: inout Endpoint
    ) async throws(HTTPFailure) -> Response {
        if let response = crossOrigin.preflight(request) { return response }
        let target = try Target(request.head.path ?? "/")
        let path = target.path
        let method = request.method
        if path.hasPrefix("/v1/kv/") {
            let rest = path.dropFirst("/v1/kv/".count)
            if method == .post, rest.hasSuffix("/increment") {
                endpoint = .increment
                return try await increment(key(rest.dropLast("/increment".count)), request, context, target)
            }
            endpoint = .key
            switch method {
            case .get: return try await get(key(rest), request, target)
            case .head: return try await head(key(rest), request, target)
            case .put: return try await put(key(rest), request, context, target)
            case .delete: return try await delete(key(rest), request, target)
            default: throw notAllowed("GET, HEAD, PUT, DELETE" + (rest.hasSuffix("/increment") ? ", POST" : ""))
            }
        }
        if let response = try await dataRoute(request, context, target, &endpoint) { return response }
        if let found = adminEndpoint(path) {
            endpoint = found
            return try await administer(found, request, context, target)
        }
        if let found = backupEndpoint(path) {
            endpoint = found
            return try await backUp(found, method, target)
        }
        if let response = try await operatorRoute(path, method, target, &endpoint) { return response }
        guard let found = Endpoint.allCases.first(where: { $0.rawValue == path && $0 != .unknown }) else {
            throw HTTPFailure(.notFound, "not_found", "there is no '\(path)' here; keys are at /v1/kv/{key}")
        }
        endpoint = found
        guard method == .get || method == .head else { throw notAllowed("GET, HEAD") }
        let response = try await answer(found, request, target)
        guard method == .head else { return response }
        return Response(status: response.status, headers: response.headers)
    }

    private func answer(
        _ endpoint: Endpoint,
        _ request: Request,
        _ target: Target
    ) async throws(HTTPFailure) -> Response {
        switch endpoint {
        case .scan: return try await scan(target)
        case .status:
            try target.check([])
            return json(.ok, await service.status().json)
        case .digest:
            try target.check([])
            return try await digest()
        case .livez: return text(.ok, "ok\n")
        case .readyz, .healthz: return await health()
        case .metrics:
            let format = ExpositionFormat(accept: request.headers[.accept] ?? "")
            return text(.ok, scrapes.text(format), contentType: format.contentType)
        case .key, .increment, .batch, .session, .openapi, .query, .members, .member, .leadership, .stop, .users, .user,
            .authentication, .unknown, .logLevel, .slowRequests, .snapshots, .snapshot, .log, .config, .compact:
            throw HTTPFailure(.notFound, "not_found", "there is no '\(target.path)' here")
        }
    }

    /// A key from its place in the path, percent-decoded once.
    private func key(_ raw: Substring) throws(HTTPFailure) -> [UInt8] {
        guard let key = percentDecoded(raw.utf8) else { throw .badRequest("a bad percent escape in the key '\(raw)'") }
        guard !key.isEmpty else { throw .badRequest("the key is empty") }
        let bytesMax = service.requestLimits.keyBytesMax
        guard key.count <= bytesMax else {
            throw .badRequest("the key has \(key.count) bytes; the limit is \(bytesMax)")
        }
        return key
    }

    func notAllowed(_ methods: String) -> HTTPFailure {
        var failure = HTTPFailure(.methodNotAllowed, "method_not_allowed", "allowed here: \(methods)")
        failure.headers.append((.allow, methods.split(separator: ";").first.map(String.init) ?? methods))
        return failure
    }

    // MARK: Responses

    func json(_ status: HTTPResponse.Status, _ text: String) -> Response {
        self.text(status, text + "\n", contentType: "application/json")
    }

    func text(
        _ status: HTTPResponse.Status,
        _ text: String,
        contentType: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status,
            headers: [.contentType: contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text))
        )
    }

    private func failure(_ failure: HTTPFailure, _ requestID: String, _ context: HTTPContext) -> Response {
        var response = json(failure.status, failure.json(requestID: requestID))
        for (name, value) in failure.headers { response.headers[name] = value }
        guard failure.closesConnection else { return response }
        response.headers[.connection] = "close"
        let body = ByteBuffer(string: failure.json(requestID: requestID) + "\n")
        let channel = context.channel
        response.body = ResponseBody(contentLength: body.readableBytes) { writer in
            try await writer.write(body)
            try await writer.finish(nil)
            channel?.close(mode: .input, promise: nil)
        }
        return response
    }

    /// The client's `X-Request-Id` where it is one, else one of our own.
    private func requestID(_ request: Request) -> String {
        if let given = request.headers[.requestID], (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        {
            return given
        }
        // Not the logger's: a handler that keeps no metadata has none.
        return hexadecimal(UInt64.random(in: 0 ... .max))
    }
}

extension HTTPField.Name {
    /// `X-Request-Id`, which clients and proxies send to find a request in logs.
    static let requestID = field("x-request-id")

    /// A field's name that is known to be one.
    static func field(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("'\(name)' is no field name") }
        return name
    }
}
