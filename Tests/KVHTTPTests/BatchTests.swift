import HTTPTypes
import KVBase
import KVService
import Testing

@testable import KVHTTP

private let json: HTTPFields = [.contentType: "application/json"]

@Suite struct BatchTests {
    @Test func `a batch is done as a whole and answers each operation`() async throws {
        try await HTTPHarness.run { http async throws in
            let body = """
                {"conditions": [{"keyUtf8": "{k}a", "ifAbsent": true}],
                 "operations": [{"op": "put", "keyUtf8": "{k}a", "valueUtf8": "1", "ttl": "30s"},
                    {"op": "increment", "keyUtf8": "{k}a", "by": 4}, {"op": "get", "key": "e2t9YQ=="},
                    {"op": "append", "keyUtf8": "{k}b", "value": "AAE="}, {"op": "get", "keyUtf8": "{k}c"},
                    {"op": "delete", "keyUtf8": "{k}b", "return": "previous"}, {"op": "expire", "keyUtf8": "{k}a"}]}
                """
            let before = http.service.counts.requests
            let answer = try await http.send(.post, "/v1/batch", json, body: body)
            #expect(answer.status == 200)
            #expect(http.service.counts.requests == before + 1)
            for part in [
                "\"op\":\"increment\",\"version\":\"2\",\"number\":5",
                "\"found\":true,\"value\":\"NQ==\",\"valueUtf8\":\"5\"",
                "\"op\":\"get\",\"version\":\"0\",\"found\":false", "\"previous\":\"AAE=\"",
            ] { #expect(answer.body.contains(part), "\(part) in \(answer.body)") }
            let again = try await http.send(.post, "/v1/batch", json, body: body)
            #expect(again.status == 409)
            #expect(again.body.contains("\"code\":\"condition_failed\""))
            #expect(again.body.contains("\"condition\":0"))
        }
    }

    @Test func `an operation that fails takes the whole batch back`() async throws {
        try await HTTPHarness.run { http async throws in
            try await http.send(.put, "/v1/kv/%7Bk%7Dtext", body: "x")
            let failing = """
                {"operations": [{"op": "put", "keyUtf8": "{k}a", "valueUtf8": "1"},
                    {"op": "increment", "keyUtf8": "{k}text"}]}
                """
            #expect(try await http.send(.post, "/v1/batch", json, body: failing).status == 409)
            let refused = """
                {"operations": [{"op": "put", "keyUtf8": "{k}a", "valueUtf8": "1"},
                    {"op": "put", "keyUtf8": "{k}text", "valueUtf8": "y", "ifVersion": "99"}]}
                """
            let answer = try await http.send(.post, "/v1/batch", json, body: refused)
            #expect(answer.status == 409 && answer.body.contains("\"operation\":1"))
            #expect(http.service.value("{k}a") == nil)
        }
    }

    @Test(arguments: [
        "", "[]", "{", "{}", "{\"operations\":1}", "{\"operations\":[]}", "{\"operations\":[{}]}", "{\"ops\":[]}",
        "{\"operations\":[{\"op\":\"put\",\"keyUtf8\":\"a\"}]}",
        "{\"operations\":[{\"op\":\"put\",\"keyUtf8\":\"a\",\"valueUtf8\":\"1\",\"value\":\"MQ==\"}]}",
        "{\"operations\":[{\"op\":\"get\",\"keyUtf8\":\"a\",\"value\":\"MQ==\"}]}",
        "{\"operations\":[{\"op\":\"get\",\"key\":\"!\"}]}", "{\"operations\":[{\"op\":\"get\",\"key\":\"\"}]}",
        "{\"operations\":[{\"op\":\"get\",\"keyUtf8\":\"a\"},{\"op\":\"get\",\"keyUtf8\":\"b\"}]}",
        "{\"operations\":[{\"op\":\"increment\",\"keyUtf8\":\"a\",\"by\":1.5}]}",
        "{\"operations\":[{\"op\":\"drop\",\"keyUtf8\":\"a\"}]}",
        "{\"conditions\":[{\"keyUtf8\":\"a\"}]}",
        "{\"conditions\":[{\"keyUtf8\":\"a\",\"ifAbsent\":true,\"ifPresent\":true}]}",
        "{\"operations\":[],\"operations\":[]}", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
        "{\"operations\":[{\"op\":\"\\ud800\"}]}",
        "{\"operations\":[{\"op\":\"get\",\"keyUtf8\":\"a\"}]} x", "{\"a\":01}", "{\"a\":\"\u{1}\"}", "nul",
    ])
    func `a batch that is none is refused`(body: String) async throws {
        try await HTTPHarness.run { http async throws in
            let answer = try await http.send(.post, "/v1/batch", json, body: body)
            #expect(answer.status == 400)
            #expect(answer.body.contains("\"code\":\"bad_request\""))
        }
    }

    @Test func `JSON is read as it is written`() throws {
        let text = #" {"a": [1, -0.5e+3, true, null, "x\u00e9\n\ud83d\ude00\/"], "b": {}} "#
        let expected = JSONValue.object([
            "a": .array([.number("1"), .number("-0.5e+3"), .bool(true), .null, .string("xé\n😀/")]), "b": .object([:]),
        ])
        #expect(try JSONValue(Array(text.utf8)) == expected)
    }
}

@Suite struct RetryTests {
    @Test func `a write of a session is done once however often it is sent`() async throws {
        try await HTTPHarness.run { http async throws in
            let opened = try await http.send(.post, "/v1/session?ttl=30s")
            #expect(opened.status == 201 && opened.body.contains("\"ttlMilliseconds\":30000"))
            let session = try #require(
                opened.body.split(separator: "\"").dropFirst(2).dropFirst().first.map(String.init)
            )
            let headers: HTTPFields = [.kvSession: session, .kvSequence: "3/1"]
            for _ in 0..<3 {
                let answer = try await http.send(.post, "/v1/kv/n/increment", headers)
                #expect(answer.body.contains("\"value\":1"))
            }
            #expect(try await http.send(.post, "/v1/session/\(session)/keep").status == 204)
            #expect(try await http.send(.delete, "/v1/session/\(session)").status == 204)
            #expect(try await http.send(.delete, "/v1/session/\(session)").status == 404)
            #expect(try await http.send(.post, "/v1/kv/n/increment", headers).status == 504)
        }
    }

    @Test func `the same Idempotency-Key does the same request once`() async throws {
        try await HTTPHarness.run { http async throws in
            for _ in 0..<2 {
                let answer = try await http.send(.post, "/v1/kv/n/increment", [.idempotencyKey: "pay-1"])
                #expect(answer.body.contains("\"value\":1"))
            }
            for _ in 0..<2 {
                let put = try await http.send(.put, "/v1/kv/a", [.idempotencyKey: "k2", .ifNoneMatch: "*"], body: "v")
                #expect(put.status == 201)
            }
        }
    }

    @Test(arguments: [
        [("Kv-Session", "1")], [("Kv-Sequence", "1")], [("Kv-Session", "x"), ("Kv-Sequence", "1")],
        [("Kv-Session", "1"), ("Kv-Sequence", "0")], [("Kv-Session", "1"), ("Kv-Sequence", "1/2")],
        [("Kv-Session", "1"), ("Kv-Sequence", "3/2/1")], [("Kv-Session", "1"), ("Kv-Sequence", "3/")],
        [("Kv-Session", "1"), ("Kv-Sequence", "3"), ("Idempotency-Key", "x")], [("Idempotency-Key", "")],
        [("Idempotency-Key", String(repeating: "x", count: 256))], [("Kv-Redirect", "maybe")],
    ])
    func `headers that make no sense are refused`(headers: [(String, String)]) async throws {
        try await HTTPHarness.run { http async throws in
            var fields = HTTPFields()
            for (name, value) in headers { fields[.field(name)] = value }
            #expect(try await http.send(.put, "/v1/kv/a", fields, body: "v").status == 400)
            #expect(http.service.value("a") == nil)
        }
    }

    @Test func `who asks for it is sent to the leader`() async throws {
        try await HTTPHarness.run { http async throws in
            http.service.follow(NodeID(2))
            #expect(try await http.send(.put, "/v1/kv/a", body: "v").status == 200)
            // The harness's peers announce no HTTP address: the client hears that it may try again.
            #expect(try await http.send(.get, "/v1/kv/a?redirect=true").status == 503)
        }
    }
}

@Suite struct QueryRouteTests {
    @Test func `query routes are off unless switched on`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.get, "/put?key=a&val=1").status == 404)
        }
        var settings = HTTPSettings()
        settings.queryRoutes = true
        try await HTTPHarness.run(settings: settings) { http async throws in
            #expect(try await http.send(.get, "/put?key=a%20b&val=1").body == "OK\n")
            #expect(try await http.send(.get, "/get?key=a+b").body == "1")
            #expect(try await http.send(.get, "/delete?key=a%20b").status == 200)
            #expect(try await http.send(.get, "/get?key=a%20b").status == 404)
            #expect(try await http.send(.get, "/get?key=").status == 400)
            #expect(try await http.send(.get, "/get?key=a&val=1").status == 400)
            #expect(try await http.send(.post, "/put?key=a&val=1").status == 405)
        }
    }

    @Test func `the description of the interface is JSON and names the routes`() async throws {
        try await HTTPHarness.run { http async throws in
            let answer = try await http.send(.get, "/openapi.json")
            #expect(answer.status == 200)
            guard case .object(let description) = try JSONValue(Array(answer.body.utf8)),
                case .object(let paths) = description["paths"]
            else {
                Issue.record("the description has no paths")
                return
            }
            #expect(description["openapi"] == .string("3.1.0"))
            let others: Set<Endpoint> = [.unknown, .query, .digest, .session]
            for endpoint in Endpoint.allCases where !others.contains(endpoint) {
                #expect(paths[endpoint.rawValue] != nil, "\(endpoint.rawValue)")
            }
            for path in ["/v1/session", "/v1/session/{session}", "/v1/session/{session}/keep"] {
                #expect(paths[path] != nil)
            }
        }
    }
}
