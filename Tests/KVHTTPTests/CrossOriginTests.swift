import Hummingbird
import Testing

@testable import KVHTTP

@Suite struct CrossOriginTests {
    private static let preflight: HTTPFields = [
        .origin: "https://app.example.com", .accessControlRequestMethod: "PUT",
    ]

    @Test func `pages of other sites are not let in unless that is configured`() async throws {
        try await HTTPHarness.run { http async throws in
            let asked = try await http.send(.options, "/v1/kv/a", Self.preflight)
            #expect(asked.status == 405)
            let answer = try await http.send(.get, "/livez", [.origin: "https://app.example.com"])
            #expect(answer.status == 200)
            for headers in [asked.headers, answer.headers] {
                #expect(headers[.accessControlAllowOrigin] == nil)
                #expect(headers[.accessControlAllowMethods] == nil)
            }
        }
    }

    @Test func `an origin that is configured is let in, another is not`() async throws {
        var settings = HTTPSettings()
        settings.crossOrigins = ["https://app.example.com"]
        try await HTTPHarness.run(settings: settings) { http async throws in
            let asked = try await http.send(.options, "/v1/kv/a", Self.preflight)
            #expect(asked.status == 204)
            #expect(asked.headers[.accessControlAllowOrigin] == "https://app.example.com")
            #expect(asked.headers[.accessControlAllowMethods] == "GET, HEAD, PUT, POST, DELETE")
            let failed = try await http.send(.get, "/v1/kv/none", [.origin: "https://app.example.com"])
            #expect(failed.status == 404)
            #expect(failed.headers[.accessControlAllowOrigin] == "https://app.example.com")
            #expect(failed.headers[.vary] == "Origin")
            for other in ["https://app.example.com.evil.net", "http://app.example.com", "null"] {
                let answer = try await http.send(.get, "/livez", [.origin: other])
                #expect(answer.headers[.accessControlAllowOrigin] == nil)
                #expect(answer.headers[.vary] == "Origin")
            }
        }
    }

    @Test func `a star lets every origin in`() async throws {
        var settings = HTTPSettings()
        settings.crossOrigins = ["*"]
        try await HTTPHarness.run(settings: settings) { http async throws in
            let answer = try await http.send(.get, "/livez", [.origin: "https://any.example"])
            #expect(answer.headers[.accessControlAllowOrigin] == "*")
        }
    }
}
