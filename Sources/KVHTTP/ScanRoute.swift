import Hummingbird
import KVService

extension HTTPEdge {
    /// `GET /v1/kv`: a page of keys in order.
    func scan(_ target: Target) async throws(HTTPFailure) -> Response {
        try target.check(["prefix", "start", "end", "limit", "cursor", "keys_only", "reverse", "consistency"])
        var request = ScanRequest(limit: settings.pageLimitDefault)
        request.prefix = target.bytes("prefix") ?? []
        request.start = target.bytes("start") ?? []
        request.end = target.bytes("end")
        request.keysOnly = try target.flag("keys_only")
        request.isReversed = try target.flag("reverse")
        request.consistency = try consistency(target)
        if let text = target.text("limit") {
            guard let limit = Int(text), limit >= 1, limit <= settings.pageLimitMax else {
                throw .badRequest("'limit' is '\(text)'; it is 1 to \(settings.pageLimitMax)")
            }
            request.limit = limit
        }
        let cursor = try cursor(target, &request)
        let asked = request
        let page = try await serve { service throws(ServiceError) in try await service.scan(asked) }
        var next: ScanCursor?
        if page.hasMore {
            if let last = page.rows.last {
                next = ScanCursor(isReversed: asked.isReversed, isInclusive: false, key: last.key)
            } else {
                // Nothing found yet: the same place again.
                next = cursor ?? ScanCursor(isReversed: asked.isReversed, isInclusive: true, key: asked.start)
            }
        }
        return json(.ok, body(page, next, asked))
    }

    /// Narrows the request to what comes behind the cursor.
    private func cursor(_ target: Target, _ request: inout ScanRequest) throws(HTTPFailure) -> ScanCursor? {
        guard let text = target.text("cursor") else { return nil }
        guard let cursor = ScanCursor(text) else { throw .badRequest("'cursor' is none that a page gave") }
        guard cursor.isReversed == request.isReversed else { throw .badRequest("the cursor is of the other direction") }
        if cursor.isReversed {
            if !cursor.isInclusive { request.end = cursor.key }
        } else {
            request.start = cursor.isInclusive ? cursor.key : cursor.key + [0]
        }
        return cursor
    }

    private func body(_ page: ScanPage, _ next: ScanCursor?, _ request: ScanRequest) -> String {
        var json = JSONText()
        json.object {
            $0.key("items")
            $0.array(page.rows) { json, row in
                json.object {
                    $0.bytes("key", row.key)
                    if !request.keysOnly { $0.bytes("value", row.value) }
                    $0.field("version", String(row.version))
                    if row.expiresAt != 0 { $0.field("expiresAt", row.expiresAt) }
                }
            }
            $0.field("hasMore", page.hasMore)
            if let next { $0.field("cursor", next.text) } else { $0.null("cursor") }
        }
        return json.text
    }
}
