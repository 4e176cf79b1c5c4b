import HTTPTypes
import Hummingbird
import KVService
import NIOCore

extension HTTPEdge {
    func get(_ key: [UInt8], _ request: Request, _ target: Target) async throws(HTTPFailure) -> Response {
        try target.check(["consistency"])
        let consistency = try consistency(target)
        let reply = try await read(request, target) { batch in
            key.withUnsafeBytes { batch.get($0, tag: 0, consistency: consistency) }
        }
        return try found(reply, request)
    }

    /// A value that was asked for, unless the client has that version.
    func found(_ reply: OwnedReply, _ request: Request) throws(HTTPFailure) -> Response {
        guard reply.outcome == .found else { throw Self.noSuchKey }
        if let known = request.headers[.ifNoneMatch], known == "*" || version(known) == reply.version {
            return Response(status: .notModified, headers: [.eTag: entityTag(reply.version)])
        }
        return Response(
            status: .ok,
            headers: headers(reply),
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: reply.value ?? []))
        )
    }

    func head(_ key: [UInt8], _ request: Request, _ target: Target) async throws(HTTPFailure) -> Response {
        try target.check(["consistency"])
        let consistency = try consistency(target)
        let reply = try await read(request, target) { batch in
            key.withUnsafeBytes { batch.head($0, tag: 0, consistency: consistency) }
        }
        guard reply.outcome == .found else { throw Self.noSuchKey }
        var response = Response(status: .ok, headers: headers(reply))
        response.headers[.contentLength] = String(reply.integer)
        return response
    }

    func put(
        _ key: [UInt8],
        _ request: Request,
        _ context: HTTPContext,
        _ target: Target
    ) async throws(HTTPFailure) -> Response {
        try target.check(["ttl", "return"])
        let condition = try condition(request.headers)
        let expiry = try expiry(target)
        let returnsPrevious = try returnsPrevious(target)
        let value = try await readBody(
            request,
            context,
            bytesMax: service.requestLimits.valueBytesMax,
            timeout: settings.bodyTimeout
        )
        let flags: RequestFlags = returnsPrevious ? .returnPrevious : []
        let reply = try await write(request, target) { batch in
            key.withUnsafeBytes { key in
                value.withUnsafeBytes {
                    batch.put(key, $0, tag: 0, condition: condition, expiry: expiry, flags: flags)
                }
            }
        }
        guard reply.outcome != .conditionFailed else { throw preconditionFailed(reply) }
        // What is known to be new: the condition said so, or the previous value was asked for and there was none.
        let isNew = condition == .absent || (returnsPrevious && reply.value == nil)
        var body = JSONText()
        body.object {
            $0.field("version", String(reply.version))
            if reply.expiresAt != 0 { $0.field("expiresAt", reply.expiresAt) }
            if returnsPrevious { $0.previous(reply.value) }
        }
        var response = json(isNew ? .created : .ok, body.text)
        response.headers[.eTag] = entityTag(reply.version)
        return response
    }

    func delete(_ key: [UInt8], _ request: Request, _ target: Target) async throws(HTTPFailure) -> Response {
        try target.check(["must_exist", "return"])
        let returnsPrevious = try returnsPrevious(target)
        let mustExist = try target.flag("must_exist")
        let condition = try condition(request.headers)
        guard condition != .absent else { throw .badRequest("If-None-Match makes no sense for DELETE") }
        let flags: RequestFlags = returnsPrevious ? .returnPrevious : []
        let reply = try await write(request, target) { batch in
            key.withUnsafeBytes { batch.delete($0, tag: 0, condition: condition, flags: flags) }
        }
        if reply.outcome == .conditionFailed { throw preconditionFailed(reply) }
        if reply.outcome == .absent && mustExist { throw Self.noSuchKey }
        guard returnsPrevious else { return Response(status: .noContent) }
        var body = JSONText()
        body.object { $0.previous(reply.value) }
        return json(.ok, body.text)
    }

    func increment(
        _ key: [UInt8],
        _ request: Request,
        _ context: HTTPContext,
        _ target: Target
    ) async throws(HTTPFailure) -> Response {
        try target.check(["by"])
        var amount: Int64 = 1
        if let text = target.text("by") {
            guard let number = Int64(text) else {
                throw .badRequest("'by' is '\(text)'; it is a whole number of 64 bits")
            }
            amount = number
        }
        if request.headers[.transferEncoding] != nil || (request.headers[.contentLength] ?? "0") != "0" {
            throw .badRequest("an increment has no body; the amount is ?by=")
        }
        let by = amount
        let reply = try await write(request, target) { batch in
            key.withUnsafeBytes { batch.increment($0, by: by, tag: 0) }
        }
        var body = JSONText()
        body.object {
            $0.field("value", reply.integer)
            $0.field("version", String(reply.version))
        }
        var response = json(.ok, body.text)
        response.headers[.eTag] = entityTag(reply.version)
        return response
    }

    /// Calls the service; its failure becomes ours.
    func serve<Answer: Sendable>(
        _ call: (any KeyValueService) async throws(ServiceError) -> Answer
    ) async throws(HTTPFailure) -> Answer {
        do throws(ServiceError) {
            return try await call(service)
        } catch {
            throw HTTPFailure(error)
        }
    }

    private static let noSuchKey = HTTPFailure(.notFound, "key_not_found", "there is no such key")

    private func returnsPrevious(_ target: Target) throws(HTTPFailure) -> Bool {
        switch target.text("return") {
        case nil: return false
        case "previous": return true
        case let other?: throw .badRequest("'return' is '\(other)'; it is previous")
        }
    }

    private func headers(_ reply: OwnedReply) -> HTTPFields {
        var headers: HTTPFields = [.contentType: "application/octet-stream", .eTag: entityTag(reply.version)]
        if reply.expiresAt != 0 { headers[.expiresAt] = String(reply.expiresAt) }
        return headers
    }

    private func preconditionFailed(_ reply: OwnedReply) -> HTTPFailure {
        let now = reply.version == 0 ? "the key is absent" : "the key has version \(reply.version)"
        var failure = HTTPFailure(.preconditionFailed, "precondition_failed", "nothing was changed: \(now)")
        if reply.version != 0 { failure.headers.append((.eTag, entityTag(reply.version))) }
        return failure
    }
}

extension JSONText {
    /// The value from before, or null.
    fileprivate mutating func previous(_ value: [UInt8]?) {
        if let value { bytes("previous", value) } else { null("previous") }
    }
}

extension HTTPField.Name {
    /// `Kv-Expires-At`: when the key expires, in milliseconds since 1970.
    fileprivate static let expiresAt = field("kv-expires-at")
}
