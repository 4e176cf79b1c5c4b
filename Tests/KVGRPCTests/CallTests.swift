import Foundation
import GRPCCore
import GRPCProtobuf
import KVBase
import KVFakeService
import KVService
import Synchronization
import Testing

@testable import KVGRPC

@Suite(.timeLimit(.minutes(1))) struct CallTests {
    @Test func `keys are written, read, counted and removed`() async throws {
        try await GRPCHarness.run { grpc async throws in
            let first = try await grpc.put("k", "v")
            #expect(first.version == 1)
            #expect(!first.hasPrevious)
            let found = try await grpc.get("k")
            #expect(found.found && found.value == Data("v".utf8) && found.length == 1 && found.version == 1)
            #expect(try await !grpc.get("none").found)
            var again = Kv_V1_PutRequest.with("k", "w")
            again.returnPrevious = true
            again.expiry.afterMilliseconds = 1_000
            let second: Kv_V1_PutResponse = try await grpc.call(.put, again)
            #expect(second.previous == Data("v".utf8))
            #expect(second.expiresAtMilliseconds == grpc.service.now + 1_000)
            var increment = Kv_V1_IncrementRequest()
            increment.key = Data("n".utf8)
            let one: Kv_V1_IncrementResponse = try await grpc.call(.increment, increment)
            increment.by = -5
            let two: Kv_V1_IncrementResponse = try await grpc.call(.increment, increment)
            #expect((one.value, two.value) == (1, -4))
            var delete = Kv_V1_DeleteRequest()
            delete.key = Data("k".utf8)
            delete.returnPrevious = true
            let gone: Kv_V1_DeleteResponse = try await grpc.call(.delete, delete)
            #expect(gone.existed && gone.previous == Data("w".utf8))
            let missing: Kv_V1_DeleteResponse = try await grpc.call(.delete, delete)
            #expect(!missing.existed && !missing.hasPrevious)
        }
    }

    @Test func `a condition that does not hold is a failed precondition with the version`() async throws {
        try await GRPCHarness.run { grpc async throws in
            _ = try await grpc.put("k", "v")
            var request = Kv_V1_PutRequest.with("k", "w")
            request.condition.version = 9
            let asked = request
            do {
                let _: Kv_V1_PutResponse = try await grpc.call(.put, asked)
                Issue.record("it went through")
            } catch let error as RPCError {
                #expect(error.code == .failedPrecondition)
                let details = try #require(try error.unpackGoogleRPCStatus()).details
                let info = try #require(details.compactMap(\.errorInfo).first)
                #expect(info.reason == "CONDITION_FAILED")
                #expect(info.metadata["version"] == "1")
            }
            #expect(grpc.service.value("k") == Array("v".utf8))
        }
    }

    @Test func `requests that make no sense are refused before the service`() async throws {
        let service = FakeService(limits: RequestLimits(keyBytesMax: 4, valueBytesMax: 4))
        try await GRPCHarness.run(service: service) { grpc async throws in
            func refused(_ change: @escaping @Sendable (inout Kv_V1_PutRequest) -> Void) async -> String {
                var request = Kv_V1_PutRequest.with("k", "v")
                change(&request)
                let asked = request
                let found = await failure { let _: Kv_V1_PutResponse = try await grpc.call(.put, asked) }
                #expect(found?.code == .invalidArgument)
                return found?.reason ?? "it went through"
            }
            #expect(await refused { $0.key = Data() } == "BAD_REQUEST")
            #expect(await refused { $0.key = Data(count: 5) } == "TOO_LARGE")
            #expect(await refused { $0.value = Data(count: 5) } == "TOO_LARGE")
            #expect(await refused { $0.condition = .init() } == "BAD_REQUEST")
            #expect(await refused { $0.condition.absent = false } == "BAD_REQUEST")
            #expect(await refused { $0.expiry = .init() } == "BAD_REQUEST")
            #expect(await refused { $0.expiry.afterMilliseconds = 0 } == "BAD_REQUEST")
            #expect(await refused { $0.expiry.afterMilliseconds = .max } == "BAD_REQUEST")
            #expect(await refused { $0.expiry.atMilliseconds = .max } == "BAD_REQUEST")
            #expect(await refused { $0.expiry.keep = false } == "BAD_REQUEST")
            for metadata: Metadata in [
                ["kv-redirect": "perhaps"], ["kv-session": "1"], ["kv-sequence": "1"],
                ["kv-session": "1", "kv-sequence": "0"], ["idempotency-key": ""],
                ["idempotency-key": "x", "kv-session": "1"],
            ] {
                let found = await failure { _ = try await grpc.put("k", "v", metadata) }
                #expect(found?.reason == "BAD_REQUEST", "\(metadata)")
            }
            let read = await failure { _ = try await grpc.get("k", ["idempotency-key": "x"]) }
            #expect(read?.reason == "BAD_REQUEST")
            #expect(service.counts.requests == 0)
        }
    }

    @Test func `a batch is done whole or not at all`() async throws {
        try await GRPCHarness.run { grpc async throws in
            typealias Operation = Kv_V1_BatchRequest.Operation
            var put = Operation()
            put.put = .with("{t}a", "1")
            var increment = Operation()
            increment.increment.key = Data("{t}a".utf8)
            var get = Operation()
            get.get.key = Data("{t}a".utf8)
            var check = Kv_V1_BatchRequest.Check()
            check.key = Data("{t}b".utf8)
            check.condition.absent = true
            var request = Kv_V1_BatchRequest()
            request.conditions = [check]
            request.operations = [put, increment, get]
            let response: Kv_V1_BatchResponse = try await grpc.call(.batch, request)
            #expect(response.results.count == 3)
            #expect(response.results[1].increment.value == 2)
            #expect(response.results[2].get.value == Data("2".utf8))

            _ = try await grpc.put("{t}b", "there")
            request.operations = [put]
            let refused = request
            do {
                let _: Kv_V1_BatchResponse = try await grpc.call(.batch, refused)
                Issue.record("it went through")
            } catch let error as RPCError {
                let details = try #require(try error.unpackGoogleRPCStatus()).details
                #expect(details.compactMap(\.errorInfo).first?.metadata["condition"] == "0")
            }
            #expect(grpc.service.value("{t}a") == Array("2".utf8))

            var elsewhere = Operation()
            elsewhere.put = .with("other", "1")
            request.conditions = []
            for operations in [[], [put, elsewhere], [Operation()]] {
                request.operations = operations
                let asked = request
                let found = await failure { let _: Kv_V1_BatchResponse = try await grpc.call(.batch, asked) }
                #expect(found?.reason == "BAD_REQUEST")
            }
        }
    }

    @Test func `a write with a token or in a session takes effect once`() async throws {
        try await GRPCHarness.run { grpc async throws in
            var request = Kv_V1_IncrementRequest()
            request.key = Data("n".utf8)
            for _ in 0..<2 {
                let found: Kv_V1_IncrementResponse = try await grpc.call(.increment, request, ["idempotency-key": "x"])
                #expect(found.value == 1)
            }
            let opened: Kv_V1_OpenSessionResponse = try await grpc.call(.openSession, Kv_V1_OpenSessionRequest())
            #expect(opened.lifeMilliseconds == 60_000)
            let stamp: Metadata = ["kv-session": "\(opened.session)", "kv-sequence": "1/1"]
            for _ in 0..<2 {
                let found: Kv_V1_IncrementResponse = try await grpc.call(.increment, request, stamp)
                #expect(found.value == 2)
            }
            var keep = Kv_V1_KeepSessionRequest()
            keep.session = opened.session
            let _: Kv_V1_KeepSessionResponse = try await grpc.call(.keepSession, keep)
            var end = Kv_V1_EndSessionRequest()
            end.session = opened.session
            let _: Kv_V1_EndSessionResponse = try await grpc.call(.endSession, end)
            let asked = keep
            let gone = await failure { let _: Kv_V1_KeepSessionResponse = try await grpc.call(.keepSession, asked) }
            #expect(gone?.code == .notFound && gone?.reason == "SESSION_NOT_FOUND")
        }
    }

    @Test func `a node that does not lead says who does, where that is asked`() async throws {
        try await GRPCHarness.run { grpc async throws in
            grpc.service.follow(NodeID(2))
            _ = try await grpc.put("k", "v")
            do {
                _ = try await grpc.put("k", "v", ["kv-redirect": "true"])
                Issue.record("it went through")
            } catch let error as RPCError {
                #expect(error.code == .unavailable)
                let details = try #require(try error.unpackGoogleRPCStatus()).details
                let hint = try Kv_V1_LeaderHint(unpackingAny: try #require(details.compactMap(\.any).first))
                #expect(hint.node == 2)
            }
        }
    }

    @Test func `a deadline ends a read and leaves a write's outcome open`() async throws {
        try await GRPCHarness.run { grpc async throws in
            grpc.service.hold()
            let read = await failure { _ = try await grpc.get("k", timeout: .milliseconds(50)) }
            #expect(read?.code == .deadlineExceeded)
            let before = grpc.service.heldCount
            // A busy machine may let the deadline pass before the request arrives.
            while grpc.service.heldCount == before {
                let write = await failure {
                    let request = Kv_V1_PutRequest.with("k", "v")
                    let _: Kv_V1_PutResponse = try await grpc.call(.put, request, timeout: .milliseconds(50))
                }
                #expect(write?.code == .deadlineExceeded)
            }
            grpc.service.release()
            #expect(try await grpc.get("k").found)
        }
    }

    @Test func `a listing comes whole, forwards and backwards, in messages of a bounded size`() async throws {
        var settings = GRPCSettings()
        settings.scanPageLimit = 7
        settings.scanMessageBytes = 100
        try await GRPCHarness.run(settings: settings) { grpc async throws in
            for number in 10..<60 { _ = try await grpc.put("k\(number)", "v") }
            _ = try await grpc.put("other", "v")
            func scan(_ change: (inout Kv_V1_ScanRequest) -> Void) async throws -> [String] {
                var request = Kv_V1_ScanRequest()
                request.prefix = Data("k".utf8)
                change(&request)
                let asked = request
                let found = Mutex<[String]>([])
                try await grpc.stream(.scan) { writer in
                    try await writer.write(asked)
                } receive: { (messages: RPCAsyncSequence<Kv_V1_ScanResponse, any Error>) in
                    for try await message in messages {
                        #expect(message.rows.count <= 3)
                        found.withLock { $0 += message.rows.map { String(decoding: $0.key, as: UTF8.self) } }
                    }
                }
                return found.withLock { $0 }
            }
            let all = (10..<60).map { "k\($0)" }
            #expect(try await scan { _ in } == all)
            #expect(try await scan { $0.reverse = true } == all.reversed())
            #expect(try await scan { $0.limit = 9 } == Array(all.prefix(9)))
            #expect(
                try await scan {
                    $0.start = Data("k20".utf8)
                    $0.end = Data("k30".utf8)
                } == Array(all[10..<20])
            )
            let refused = await failure { _ = try await scan { $0.start = Data(count: 1 << 20) } }
            #expect(refused?.code == .invalidArgument)
            grpc.service.fail(with: ServiceError(.noLeader, "none"))
            #expect(await failure { _ = try await scan { _ in } }?.code == .unavailable)
        }
    }

    @Test func `a call is known by its id and counted by its status`() async throws {
        try await GRPCHarness.run { grpc async throws in
            grpc.service.fail(with: ServiceError(.overloaded, "full"))
            do {
                _ = try await grpc.get("k", ["x-request-id": "mine"])
                Issue.record("it went through")
            } catch let error as RPCError {
                let details = try #require(try error.unpackGoogleRPCStatus()).details
                #expect(details.compactMap(\.requestInfo).first?.requestID == "mine")
                #expect(details.compactMap(\.retryInfo).first?.delay == .seconds(1))
            }
            grpc.service.fail(with: nil)
            _ = try await grpc.get("k")
            let text = grpc.registry.exposition()
            #expect(text.contains(#"requests_total{transport="grpc",method="Get",endpoint="/kv.v1.KV/Get",code="#))
            #expect(text.contains(#"kv_operations_total{transport="grpc",operation="get",outcome="ok"} 1"#))
            #expect(text.contains(#"kv_rejected_total{transport="grpc",reason="overloaded"} 1"#))
        }
    }

    @Test func `health follows the node`() async throws {
        try await GRPCHarness.run { grpc async throws in
            func check(_ service: String) async throws -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
                var request = Grpc_Health_V1_HealthCheckRequest()
                request.service = service
                let response: Grpc_Health_V1_HealthCheckResponse = try await grpc.call(.check, request)
                return response.status
            }
            #expect(try await check("") == .serving)
            #expect(try await check("kv.v1.KV") == .serving)
            #expect(await failure { _ = try await check("x") }?.code == .notFound)
        }
    }

    @Test func `health that is watched tells of a change`() async throws {
        var settings = GRPCSettings()
        settings.healthInterval = .milliseconds(10)
        try await GRPCHarness.run(settings: settings) { grpc async throws in
            let service = grpc.service
            let failed = await failure {
                try await grpc.stream(.watch) { writer in
                    try await writer.write(Grpc_Health_V1_HealthCheckRequest())
                } receive: { (messages: RPCAsyncSequence<Grpc_Health_V1_HealthCheckResponse, any Error>) in
                    var told: [Grpc_Health_V1_HealthCheckResponse.ServingStatus] = []
                    for try await message in messages {
                        told.append(message.status)
                        if told.count == 1 { service.setReady(false) }
                        if told.count == 2 { grpc.listener.stop() }
                    }
                    #expect(told == [.serving, .notServing])
                }
            }
            // The listener stopped while it was watched.
            #expect(failed?.code == .unavailable)
        }
    }
}
