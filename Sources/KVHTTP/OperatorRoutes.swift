import HTTPTypes
import Hummingbird
import KVBase
import KVService
import KVTelemetry
import Logging

// What an operator asks a running process itself: the level of its log, what was slow, its settings, and compaction.
//
//     GET  /admin/v1/config                every setting with where it comes from; none is a secret
//     PUT  /admin/v1/config?name=&value=   changes one that can change, until the process ends
//     POST /admin/v1/compact?shard=        rewrites this node's own tablets; answered when that is done

extension HTTPEdge {
    /// Answers where the path is one of these; nil where it is not.
    func operatorRoute(
        _ path: Substring,
        _ method: HTTPRequest.Method,
        _ target: Target,
        _ endpoint: inout Endpoint
    ) async throws(HTTPFailure) -> Response? {
        switch String(path) {
        case Endpoint.logLevel.rawValue:
            endpoint = .logLevel
            return try logLevel(method, target)
        case Endpoint.slowRequests.rawValue:
            endpoint = .slowRequests
            guard method == .get else { throw notAllowed("GET") }
            return try await slowRequests(target)
        case Endpoint.config.rawValue:
            endpoint = .config
            return try config(method, target)
        case Endpoint.compact.rawValue:
            endpoint = .compact
            guard method == .post else { throw notAllowed("POST") }
            return try await compact(target)
        default: return nil
        }
    }

    /// `GET` shows the level, `PUT ?level=debug` changes it until the process ends.
    private func logLevel(_ method: HTTPRequest.Method, _ target: Target) throws(HTTPFailure) -> Response {
        switch method {
        case .get: try target.check([])
        case .put:
            try target.check(["level"])
            let given = target.text("level") ?? ""
            guard let level = Logger.Level(rawValue: given) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw .badRequest("'level' is '\(given)'; it is one of \(known)")
            }
            LogLevelControl.shared.level = level
            logger.log(level: level, "the log's level was changed", metadata: ["level": "\(level)"])
        default: throw notAllowed("GET, PUT")
        }
        var json = JSONText()
        json.object { $0.field("level", LogLevelControl.shared.level.rawValue) }
        return self.json(.ok, json.text)
    }

    private func config(_ method: HTTPRequest.Method, _ target: Target) throws(HTTPFailure) -> Response {
        guard let operations else { throw HTTPFailure(.notFound, "not_found", "this server shows no settings") }
        let shown: [SettingDescription]
        switch method {
        case .get:
            try target.check([])
            shown = operations.settings
        case .put:
            try target.check(["name", "value"])
            guard let name = target.text("name"), let value = target.text("value") else {
                throw .badRequest("'name' and 'value' of a setting are needed")
            }
            do throws(ServiceError) {
                shown = [try operations.changeSetting(name, to: value)]
            } catch {
                throw HTTPFailure(error)
            }
        default: throw notAllowed("GET, PUT")
        }
        var json = JSONText()
        json.object {
            $0.key("settings")
            $0.array(shown) { json, setting in
                json.object {
                    $0.field("name", setting.name)
                    if let value = setting.value { $0.field("value", value) } else { $0.null("value") }
                    $0.field("origin", setting.origin)
                    $0.field("live", setting.isLive)
                }
            }
        }
        return self.json(.ok, json.text)
    }

    private func compact(_ target: Target) async throws(HTTPFailure) -> Response {
        guard let operations else { throw HTTPFailure(.notFound, "not_found", "this server compacts nothing") }
        try target.check(["shard"])
        let shard = try target.text("shard").map { text throws(HTTPFailure) in
            guard let number = UInt32(text) else {
                throw HTTPFailure.badRequest("'shard' is '\(text)'; it is a number")
            }
            return ShardID(number)
        }
        let compacted = try await value { operations.compact(shard, completion: $0) }
        var json = JSONText()
        json.object {
            $0.key("shards")
            $0.array(compacted) { json, shard in
                json.object {
                    $0.field("group", shard.group.description)
                    $0.field("shard", shard.shard.description)
                    $0.field("bytesBefore", shard.bytesBefore)
                    $0.field("bytesAfter", shard.bytesAfter)
                }
            }
        }
        return self.json(.ok, json.text)
    }

    /// The newest slow requests of this node, newest first; times in microseconds.
    private func slowRequests(_ target: Target) async throws(HTTPFailure) -> Response {
        try target.check(["limit"])
        let limit = target.text("limit").map { Int($0) ?? -1 } ?? 128
        guard (0...128).contains(limit) else { throw .badRequest("'limit' is a number from 0 to 128") }
        let requests = await service.slowRequests().prefix(limit)
        var json = JSONText()
        json.object {
            $0.key("slowRequests")
            $0.array(Array(requests)) { json, request in
                json.object {
                    $0.field("id", request.id.description)
                    $0.field("finishedAtMs", request.finishedAt)
                    $0.field("operation", "\(request.operation)")
                    $0.field("key", request.keyText)
                    $0.field("group", request.group.description)
                    $0.field("shard", request.shard.description)
                    $0.field("index", request.index)
                    $0.field("requests", UInt64(request.requests))
                    $0.field("totalUs", request.stages.total / 1_000)
                    $0.key("stagesUs")
                    $0.object { json in
                        for (name, nanoseconds) in request.stages.named { json.field(name, nanoseconds / 1_000) }
                    }
                }
            }
        }
        return self.json(.ok, json.text)
    }

    /// Says what took long or failed in this program, with the id by which the client knows it.
    func logIfNotable(
        _ method: HTTPRequest.Method,
        _ endpoint: Endpoint,
        _ status: HTTPResponse.Status,
        _ requestID: String,
        _ nanoseconds: UInt64
    ) {
        let isSlow = settings.slowNanoseconds > 0 && nanoseconds >= settings.slowNanoseconds
        let isBroken = status.code == 500
        guard isSlow || isBroken || logger.logLevel <= .debug else { return }
        var metadata = Logger.Metadata.keys([.requestID: requestID])
        metadata["method"] = "\(method)"
        metadata["endpoint"] = "\(endpoint.rawValue)"
        metadata["status"] = "\(status.code)"
        metadata["total_us"] = "\(nanoseconds / 1_000)"
        if isBroken {
            logger.error("request failed", metadata: metadata)
        } else if isSlow {
            logger.notice("slow HTTP request", metadata: metadata)
        } else {
            logger.debug("request", metadata: metadata)
        }
    }
}
