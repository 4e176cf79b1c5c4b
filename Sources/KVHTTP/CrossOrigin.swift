import HTTPTypes
import Hummingbird

/// Which pages of other sites may call this listener from a browser (CORS): none, unless configured.
struct CrossOrigin {
    /// The origins, such as `https://app.example.com`; `*` is any.
    private let origins: Set<String>

    init(_ origins: [String]) { self.origins = Set(origins) }

    /// The answer to a browser that asks before it sends (`OPTIONS` with `Access-Control-Request-Method`); nil for anything else.
    func preflight(_ request: Request) -> Response? {
        guard request.method == .options, allowed(request) != nil,
            request.headers[.accessControlRequestMethod] != nil
        else { return nil }
        return Response(
            status: .noContent,
            headers: [
                .accessControlAllowMethods: "GET, HEAD, PUT, POST, DELETE",
                .accessControlAllowHeaders: "authorization, content-type, if-match, if-none-match, idempotency-key, "
                    + "kv-session, kv-sequence, kv-redirect, x-request-id",
                .accessControlMaxAge: "600",
            ]
        )
    }

    /// Lets the browser show an answer to the page that asked.
    func mark(_ response: inout Response, to request: Request) {
        guard !origins.isEmpty else { return }
        // Caches must not give one site's answer to another.
        response.headers[.vary] = "Origin"
        guard let origin = allowed(request) else { return }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlExposeHeaders] = "etag, kv-expires-at, location, retry-after, x-request-id"
    }

    /// What `Access-Control-Allow-Origin` says to this request.
    private func allowed(_ request: Request) -> String? {
        guard let origin = request.headers[.origin] else { return nil }
        if origins.contains("*") { return "*" }
        return origins.contains(origin) ? origin : nil
    }
}
