import HTTPTypes
import KVBase
import KVService
import Testing

@testable import KVHTTP

@Suite struct RouteTests {
    @Test(arguments: [
        (HTTPRequest.Method.post, "/v1/kv/a", "GET, HEAD, PUT, DELETE"), (.patch, "/v1/kv/a", "GET, HEAD, PUT, DELETE"),
        (.put, "/v1/kv", "GET, HEAD"), (.post, "/status", "GET, HEAD"), (.delete, "/metrics", "GET, HEAD"),
    ])
    func `a method that a route does not take is 405 with Allow`(
        method: HTTPRequest.Method,
        target: String,
        allow: String
    ) async throws {
        try await HTTPHarness.run { http async throws in
            let answer = try await http.send(method, target)
            #expect(answer.status == 405)
            #expect(answer.headers[.allow] == allow)
            #expect(answer.body.contains("\"code\":\"method_not_allowed\""))
        }
    }

    @Test(arguments: ["/", "/v1", "/v2/kv/a", "/V1/kv/a", "/statuss", "/v1/kv2", "/unknown"])
    func `an unknown route is 404 in the errors' shape`(target: String) async throws {
        try await HTTPHarness.run { http async throws in
            let answer = try await http.send(.get, target, [.requestID: "r7"])
            #expect(answer.status == 404)
            #expect(answer.body.hasPrefix("{\"code\":\"not_found\""))
            #expect(answer.body.hasSuffix("\"requestId\":\"r7\"}\n"))
        }
    }

    @Test func `a request's id is the client's where it is one, else made up`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.get, "/livez", [.requestID: "abc"]).headers[.requestID] == "abc")
            let made = try await http.send(.get, "/livez", [.requestID: String(repeating: "x", count: 200)])
            #expect((made.headers[.requestID] ?? "").count < 100)
            #expect(made.headers[.requestID]?.isEmpty == false)
        }
    }

    @Test func `a listing is in key order, page by page, either way`() async throws {
        try await HTTPHarness.run { http async throws in
            for index in 0..<7 { try await http.send(.put, "/v1/kv/k\(index)", body: "v\(index)") }
            try await http.send(.put, "/v1/kv/other", body: "x")
            for (reverse, first) in [("", "k0"), ("&reverse", "k6")] {
                var seen: [Substring] = []
                var cursor: Substring?
                repeat {
                    let next = cursor.map { "&cursor=\($0)" } ?? ""
                    let page = try await http.send(.get, "/v1/kv?prefix=k&limit=3&keys_only\(reverse)\(next)")
                    #expect(page.status == 200)
                    seen += page.body.matches(of: #/"keyUtf8":"(k.)"/#).map(\.output.1)
                    cursor = page.body.firstMatch(of: #/"cursor":"([^"]*)"/#)?.output.1
                    #expect(!page.body.contains("\"value\""))
                } while cursor != nil
                #expect(seen == (reverse.isEmpty ? seen.sorted() : seen.sorted(by: >)))
                #expect(seen.count == 7 && seen.first.map(String.init) == first)
            }
        }
    }

    @Test func `a listing has keys and values in base64 and, where valid, in UTF-8`() async throws {
        try await HTTPHarness.run { http async throws in
            try await http.send(.put, "/v1/kv/%FF", body: "v\"\n")
            #expect(
                try await http.send(.get, "/v1/kv?start=%FF").body
                    == "{\"items\":[{\"key\":\"/w==\",\"value\":\"diIK\",\"valueUtf8\":\"v\\\"\\n\",\"version\":\"1\"}],"
                    + "\"hasMore\":false,\"cursor\":null}\n"
            )
        }
    }

    @Test func `start and end bound a listing, the end exclusive`() async throws {
        try await HTTPHarness.run { http async throws in
            for key in ["a", "b", "c", "d"] { try await http.send(.put, "/v1/kv/\(key)", body: "") }
            let body = try await http.send(.get, "/v1/kv?start=b&end=d&keys_only=true").body
            #expect(body.matches(of: #/"keyUtf8":"(.)"/#).map(\.output.1) == ["b", "c"])
        }
    }

    @Test(arguments: [
        "limit=0", "limit=10001", "limit=x", "cursor=!", "cursor=AQ", "cursor=AgAA", "reverse=maybe", "from=a",
        "reverse&cursor=AQBh",
    ])
    func `a listing that makes no sense is refused`(query: String) async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.get, "/v1/kv?\(query)").status == 400)
        }
    }

    @Test func `a cursor survives its text`() {
        for cursor in [
            ScanCursor(isReversed: false, isInclusive: false, key: []),
            ScanCursor(isReversed: true, isInclusive: true, key: [0, 255, 62, 63, 64]),
        ] { #expect(ScanCursor(cursor.text) == cursor) }
        #expect(ScanCursor("") == nil)
    }

    @Test func `base64 pads as RFC 4648 does`() {
        let rows = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy"),
        ]
        for (plain, encoded) in rows { #expect(Base64.encode(Array(plain.utf8)) == encoded) }
    }

    @Test func `the status has ids as strings`() async throws {
        try await HTTPHarness.run { http async throws in
            let answer = try await http.send(.get, "/status")
            #expect(answer.headers[.contentType] == "application/json")
            #expect(answer.body.hasPrefix("{\"node\":\"1\",\"cluster\":\"00000000000000010000000000000002\","))
            #expect(
                answer.body.contains("\"groups\":[{\"id\":\"1\",\"replica\":\"11\",\"role\":\"leader\",\"term\":5,")
            )
            #expect(answer.body.contains("\"lag\":{\"2\":1},\"shards\":[\"0\"]"))
            #expect(
                answer.body.contains("{\"id\":\"2\",\"connected\":true,\"addresses\":{\"resp\":\"10.0.0.2:6400\"}}")
            )
        }
    }

    @Test func `the digest lists the shards`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(
                try await http.send(.get, "/admin/v1/digest").body
                    == "{\"digests\":[{\"group\":\"1\",\"shard\":\"3\",\"appliedIndex\":7,\"keys\":2,"
                    + "\"hash\":\"000000000000abcd\"}]}\n"
            )
        }
    }

    @Test func `health follows the node, life does not`() async throws {
        try await HTTPHarness.run { http async throws in
            for path in ["/livez", "/readyz", "/healthz"] { #expect(try await http.send(.get, path).status == 200) }
            http.service.setReady(false)
            #expect(try await http.send(.get, "/livez").status == 200)
            for path in ["/readyz", "/healthz"] {
                let answer = try await http.send(.get, path)
                #expect(answer.status == 503)
                #expect(answer.body == "{\"ready\":false,\"alarms\":[\"group 1 has no leader\"]}\n")
            }
        }
    }

    @Test func `metrics come in the format that is asked for, requests among them`() async throws {
        try await HTTPHarness.run { http async throws in
            try await http.send(.put, "/v1/kv/secret", body: "1")
            try await http.send(.get, "/v1/kv/none")
            let text = try await http.send(.get, "/metrics")
            #expect(text.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            for line in [
                "requests_total{transport=\"http\",method=\"PUT\",endpoint=\"/v1/kv/{key}\",code=\"200\"} 1\n",
                "requests_total{transport=\"http\",method=\"GET\",endpoint=\"/v1/kv/{key}\",code=\"404\"} 1\n",
                "kv_operations_total{transport=\"http\",operation=\"get\",outcome=\"not_found\"} 1\n",
                "http_request_duration_seconds_count{method=\"PUT\",endpoint=\"/v1/kv/{key}\",code=\"200\"} 1\n",
            ] { #expect(text.body.contains(line), "\(line)") }
            #expect(!text.body.contains("secret"))
            let open = try await http.send(.get, "/metrics", [.accept: "application/openmetrics-text; version=1.0.0"])
            #expect(open.headers[.contentType] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
            #expect(open.body.hasSuffix("# EOF\n"))
        }
    }
}
