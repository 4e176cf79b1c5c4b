import HTTPTypes
import KVBase
import KVService
import Testing

@testable import KVHTTP

@Suite struct KeyTests {
    @Test func `a value is written, read with its version, and removed`() async throws {
        try await HTTPHarness.run { http async throws in
            let put = try await http.send(.put, "/v1/kv/a", body: "hello")
            #expect(put.status == 200)
            #expect(put.headers[.eTag] == "\"1\"")
            #expect(put.body == "{\"version\":\"1\"}\n")
            let get = try await http.send(.get, "/v1/kv/a")
            #expect(get.status == 200 && get.body == "hello")
            #expect(get.headers[.eTag] == "\"1\"")
            #expect(get.headers[.contentType] == "application/octet-stream")
            let head = try await http.send(.head, "/v1/kv/a")
            #expect(head.status == 200 && head.body == "")
            #expect(head.headers[.contentLength] == "5")
            let delete = try await http.send(.delete, "/v1/kv/a")
            #expect(delete.status == 204 && delete.body == "")
            let gone = try await http.send(.get, "/v1/kv/a")
            #expect(gone.status == 404)
            #expect(
                gone.body.hasPrefix(
                    "{\"code\":\"key_not_found\",\"message\":\"there is no such key\",\"retryable\":false,"
                )
            )
        }
    }

    @Test(arguments: [
        ("a%2Fb", "a/b"), ("a/b", "a/b"), ("%61", "a"), ("a%252Fb", "a%2Fb"), ("a%20b", "a b"), ("a+b", "a+b"),
        ("%C3%A9", "é"),
        ("a%3Fb", "a?b"), ("..%2F..", "../.."), ("a//b", "a//b"), ("x%00y", "x\u{0}y"),
    ])
    func `a key is percent-decoded once, slashes and all`(raw: String, key: String) async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.put, "/v1/kv/\(raw)", body: "v").status == 200)
            #expect(http.service.value(key) == Array("v".utf8))
            #expect(try await http.send(.get, "/v1/kv/\(raw)").body == "v")
        }
    }

    @Test(arguments: [
        "/v1/kv/", "/v1/kv/%", "/v1/kv/%4", "/v1/kv/%zz", "/v1/kv/é", "/v1/kv/12345678901", "/v1/kv//increment",
    ])
    func `a key that is none is refused`(target: String) async throws {
        try await HTTPHarness.run(limits: RequestLimits(keyBytesMax: 10, valueBytesMax: 100)) { http async throws in
            let method: HTTPRequest.Method = target.hasSuffix("increment") ? .post : .get
            let answer = try await http.send(method, target)
            #expect(answer.status == 400)
            #expect(answer.body.contains("\"code\":\"bad_request\""))
        }
    }

    @Test func `conditions hold or nothing changes`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.put, "/v1/kv/a", [.ifNoneMatch: "*"], body: "1").status == 201)
            let again = try await http.send(.put, "/v1/kv/a", [.ifNoneMatch: "*"], body: "2")
            #expect(again.status == 412)
            #expect(again.headers[.eTag] == "\"1\"")
            #expect(again.body.contains("\"code\":\"precondition_failed\""))
            #expect(try await http.send(.put, "/v1/kv/a", [.ifMatch: "\"9\""], body: "2").status == 412)
            #expect(try await http.send(.put, "/v1/kv/a", [.ifMatch: "\"1\""], body: "2").status == 200)
            #expect(try await http.send(.put, "/v1/kv/b", [.ifMatch: "*"], body: "2").status == 412)
            #expect(try await http.send(.delete, "/v1/kv/a", [.ifMatch: "\"1\""]).status == 412)
            #expect(try await http.send(.delete, "/v1/kv/a", [.ifMatch: "\"2\""]).status == 204)
            for bad in ["1", "W/\"1\"", "\"x\"", "\"1\", \"2\"", "\"\""] {
                #expect(try await http.send(.put, "/v1/kv/a", [.ifMatch: bad], body: "2").status == 400)
            }
            #expect(try await http.send(.put, "/v1/kv/a", [.ifMatch: "*", .ifNoneMatch: "*"], body: "2").status == 400)
            #expect(try await http.send(.put, "/v1/kv/a", [.ifNoneMatch: "\"1\""], body: "2").status == 400)
        }
    }

    @Test func `a read of a known version is not sent again`() async throws {
        try await HTTPHarness.run { http async throws in
            try await http.send(.put, "/v1/kv/a", body: "1")
            let answer = try await http.send(.get, "/v1/kv/a", [.ifNoneMatch: "\"1\""])
            #expect(answer.status == 304 && answer.body == "" && answer.headers[.eTag] == "\"1\"")
            #expect(try await http.send(.get, "/v1/kv/a", [.ifNoneMatch: "\"2\""]).status == 200)
        }
    }

    @Test func `the previous value is returned on request`() async throws {
        try await HTTPHarness.run { http async throws in
            let first = try await http.send(.put, "/v1/kv/a?return=previous", body: "1")
            #expect(first.status == 201)
            #expect(first.body == "{\"version\":\"1\",\"previous\":null}\n")
            let second = try await http.send(.put, "/v1/kv/a?return=previous", body: "2")
            #expect(second.status == 200)
            #expect(second.body == "{\"version\":\"2\",\"previous\":\"MQ==\",\"previousUtf8\":\"1\"}\n")
            let delete = try await http.send(.delete, "/v1/kv/a?return=previous")
            #expect(delete.status == 200 && delete.body == "{\"previous\":\"Mg==\",\"previousUtf8\":\"2\"}\n")
        }
    }

    @Test func `a delete may demand that the key exists`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.delete, "/v1/kv/a").status == 204)
            #expect(try await http.send(.delete, "/v1/kv/a?must_exist=true").status == 404)
            try await http.send(.put, "/v1/kv/a", body: "")
            #expect(try await http.send(.delete, "/v1/kv/a?must_exist").status == 204)
        }
    }

    @Test func `a key expires after its time to live`() async throws {
        try await HTTPHarness.run { http async throws in
            let put = try await http.send(.put, "/v1/kv/a?ttl=30s", body: "1")
            #expect(put.body == "{\"version\":\"1\",\"expiresAt\":1700000030000}\n")
            #expect(try await http.send(.get, "/v1/kv/a").status == 200)
            http.service.advance(milliseconds: 30_000)
            #expect(try await http.send(.get, "/v1/kv/a").status == 404)
            for good in ["1ms", "2m", "3h", "4d"] {
                #expect(try await http.send(.put, "/v1/kv/a?ttl=\(good)", body: "1").status == 200)
            }
            for bad in ["", "30", "0s", "-1s", "1.5s", "s", "99999999999999d", "400000d", "1y"] {
                #expect(try await http.send(.put, "/v1/kv/a?ttl=\(bad)", body: "1").status == 400, "\(bad)")
            }
        }
    }

    @Test(arguments: [
        "consistency=bogus", "consistency=stale&consistency=stale", "Consistency=stale", "ttl=1s", "consistency=%zz",
    ])
    func `a parameter that makes no sense is refused, not ignored`(query: String) async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.get, "/v1/kv/a?\(query)").status == 400)
        }
    }

    @Test(arguments: ["linearizable", "lease", "stale"])
    func `every consistency is accepted`(name: String) async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.get, "/v1/kv/a?consistency=\(name)").status == 404)
        }
    }

    @Test func `an increment adds to a number`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.post, "/v1/kv/n/increment").body == "{\"value\":1,\"version\":\"1\"}\n")
            #expect(try await http.send(.post, "/v1/kv/n/increment?by=-5").body == "{\"value\":-4,\"version\":\"2\"}\n")
            #expect(try await http.send(.post, "/v1/kv/n/increment?by=x").status == 400)
            #expect(try await http.send(.post, "/v1/kv/n/increment", body: "5").status == 400)
            try await http.send(.put, "/v1/kv/n", body: "x")
            #expect(try await http.send(.post, "/v1/kv/n/increment").status == 409)
            #expect(try await http.send(.post, "/v1/kv/a%2Fb/increment").status == 200)
            #expect(http.service.value("a/b") == Array("1".utf8))
        }
    }

    @Test func `a body over the limit is refused while it comes`() async throws {
        try await HTTPHarness.run(limits: RequestLimits(keyBytesMax: 10, valueBytesMax: 4)) { http async throws in
            #expect(try await http.send(.put, "/v1/kv/a", body: "1234").status == 200)
            let answer = try await http.send(.put, "/v1/kv/a", body: "12345")
            #expect(answer.status == 413)
            #expect(answer.body.contains("\"code\":\"too_large\""))
            #expect(answer.headers[.connection] == "close")
            let chunked = try await http.send(.put, "/v1/kv/a", [.transferEncoding: "chunked"], body: "12345")
            #expect(chunked.status == 413)
            #expect(http.service.value("a") == Array("1234".utf8))
        }
    }

    @Test func `a body without a length is refused`() async throws {
        try await HTTPHarness.run { http async throws in
            #expect(try await http.send(.put, "/v1/kv/a").status == 411)
            #expect(try await http.send(.put, "/v1/kv/a", body: "").status == 200)
        }
    }

    @Test(arguments: [
        (ServiceError.Code.badRequest, 400, false, nil), (.tooLarge, 413, false, nil), (.notAnInteger, 409, false, nil),
        (.outOfRange, 409, false, nil), (.noLeader, 503, true, "1"), (.notLeader, 503, true, "1"),
        (.moving, 503, true, "1"),
        (.overloaded, 429, true, "1"), (.diskFull, 507, true, nil), (.unknownOutcome, 504, false, nil),
        (.timeout, 504, true, nil), (.corruption, 500, false, nil), (.unavailable, 503, true, "1"),
        (.cursorExpired, 400, false, nil), (.notFound, 404, false, nil), (.conflict, 409, false, nil),
        (.internalError, 500, false, nil),
        (ServiceError.Code(rawValue: "novel"), 500, false, nil),
    ])
    func `each failure of the service has its status`(
        code: ServiceError.Code,
        status: Int,
        isRetryable: Bool,
        retryAfter: String?
    ) async throws {
        try await HTTPHarness.run { http async throws in
            http.service.fail(with: ServiceError(code, "why", leader: NodeID(2)))
            for target in ["/v1/kv/a", "/v1/kv"] {
                let answer = try await http.send(.get, target, [.requestID: "r1"])
                #expect(answer.status == status)
                #expect(answer.headers[.retryAfter] == retryAfter)
                #expect(
                    answer.body
                        == "{\"code\":\"\(code.rawValue)\",\"message\":\"why\",\"retryable\":\(isRetryable),"
                        + "\"leader\":{\"id\":\"2\"},\"requestId\":\"r1\"}\n"
                )
            }
        }
    }
}
