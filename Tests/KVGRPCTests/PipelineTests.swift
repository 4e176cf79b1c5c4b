import Foundation
import GRPCCore
import KVFakeService
import KVService
import Synchronization
import Testing

@testable import KVGRPC

private typealias Call = Kv_V1_PipelineRequest.Call
private typealias Answers = RPCAsyncSequence<Kv_V1_PipelineResponse, any Error>

@Suite(.timeLimit(.minutes(1))) struct PipelineTests {
    private static func put(_ id: UInt64, _ key: String, _ value: String = "v") -> Call {
        var call = Call()
        call.id = id
        call.put = .with(key, value)
        return call
    }

    private static func message(_ calls: [Call]) -> Kv_V1_PipelineRequest {
        var message = Kv_V1_PipelineRequest()
        message.calls = calls
        return message
    }

    /// Sends all calls in messages of `size` and returns the answers in the order in which they came.
    private func run(
        _ grpc: GRPCHarness,
        _ calls: [Call],
        size: Int = 10,
        _ metadata: Metadata = [:]
    ) async throws -> [Kv_V1_PipelineResponse.Answer] {
        let found = Mutex<[Kv_V1_PipelineResponse.Answer]>([])
        try await grpc.stream(.pipeline, metadata) { writer in
            var rest = calls[...]
            while !rest.isEmpty {
                try await writer.write(Self.message(Array(rest.prefix(size))))
                rest = rest.dropFirst(size)
            }
        } receive: { (messages: Answers) in
            for try await message in messages { found.withLock { $0 += message.answers } }
        }
        return found.withLock { $0 }
    }

    @Test(arguments: [1, 10, 5_000])
    func `every request is answered once, however many come in a message`(size: Int) async throws {
        var settings = GRPCSettings()
        settings.pipelineMax = 16
        try await GRPCHarness.run(settings: settings) { grpc async throws in
            let answers = try await run(grpc, (1...2_000).map { Self.put($0, "k\($0 % 50)", "\($0)") }, size: size)
            #expect(answers.map(\.id).sorted() == Array(1...2_000))
            #expect(answers.allSatisfy { $0.put.version > 0 })
            #expect(grpc.service.value("k49") == Array("1999".utf8))
        }
    }

    @Test func `what waits to be read has a bound, beyond which values are not read any more`() async throws {
        var settings = GRPCSettings()
        settings.unreadBytesMax = 1 << 20
        try await GRPCHarness.run(settings: settings) { grpc async throws in
            _ = try await run(grpc, [Self.put(1, "k", String(repeating: "v", count: 200 << 10))])
            let get = Call.with {
                $0.id = 2
                $0.get.key = Data("k".utf8)
            }
            let counts = Mutex((values: 0, refused: 0))
            let error = await #expect(throws: RPCError.self) {
                try await grpc.stream(.pipeline) { writer in
                    try await writer.write(Self.message(Array(repeating: get, count: 64)))
                } receive: { (messages: Answers) in
                    for try await message in messages {
                        for answer in message.answers {
                            let isRefused = answer.error.reason == "UNREAD"
                            counts.withLock { if isRefused { $0.refused += 1 } else { $0.values += 1 } }
                        }
                    }
                }
            }
            #expect(error?.code == .resourceExhausted)
            let found = counts.withLock { $0 }
            #expect((1...8).contains(found.values) && found.values + found.refused == 64, "\(found)")
            // What was counted is given back with the pipeline.
            let after = try await run(grpc, [get])
            #expect(after.first?.get.value.count == 200 << 10)
        }
    }

    @Test func `answers come when they are there, by their ids`() async throws {
        try await GRPCHarness.run { grpc async throws in
            grpc.service.hold()
            try await grpc.stream(.pipeline) { writer in
                try await writer.write(Self.message([Self.put(1, "a"), Self.put(2, "b")]))
                try await writer.write(Self.message([Call.with { $0.id = 3 }]))
                // The writer ends the requests only once the answers came, and they come though it has not ended.
                while grpc.service.heldCount < 2 { await Task.yield() }
                grpc.service.release(reversed: true)
            } receive: { (messages: Answers) in
                var ids: [UInt64] = []
                for try await message in messages {
                    for answer in message.answers {
                        ids.append(answer.id)
                        if answer.id == 3 {
                            #expect(answer.error.code == 3)
                            #expect(answer.error.reason == "BAD_REQUEST")
                        }
                    }
                }
                #expect(ids.filter { $0 != 3 } == [2, 1])
                #expect(ids.count == 3)
            }
        }
    }

    @Test func `no more than its bound is under way, and the rest waits`() async throws {
        var settings = GRPCSettings()
        settings.pipelineMax = 8
        try await GRPCHarness.run(settings: settings) { grpc async throws in
            grpc.service.hold()
            try await grpc.stream(.pipeline) { writer in
                try await writer.write(Self.message((1...100).map { Self.put($0, "k") }))
                while grpc.service.heldCount < 8 { await Task.yield() }
                for _ in 0..<1_000 { await Task.yield() }
                #expect(grpc.service.heldCount == 8)
                grpc.service.release()
            } receive: { (messages: Answers) in
                var count = 0
                for try await message in messages { count += message.answers.count }
                #expect(count == 100)
            }
        }
    }

    @Test func `each kind of request has its answer`() async throws {
        try await GRPCHarness.run { grpc async throws in
            let key = Data("k".utf8)
            let calls: [Call] = [
                Self.put(1, "k", "1"),
                .with {
                    $0.id = 2
                    $0.increment.key = key
                },
                .with {
                    $0.id = 3
                    $0.append.key = key
                    $0.append.suffix = Data("0".utf8)
                },
                .with {
                    $0.id = 4
                    $0.expire.key = key
                    $0.expire.expiry.afterMilliseconds = 1_000
                },
                .with {
                    $0.id = 5
                    $0.get.key = key
                },
                .with {
                    $0.id = 6
                    $0.batch.operations = [.with { $0.get.key = key }]
                },
                .with {
                    $0.id = 7
                    $0.delete.key = key
                },
                .with {
                    $0.id = 8
                    $0.increment.key = key
                    $0.once.token = Data("t".utf8)
                },
                .with {
                    $0.id = 9
                    $0.increment.key = key
                    $0.once.token = Data("t".utf8)
                },
                .with {
                    $0.id = 10
                    $0.get.key = key
                    $0.once.token = Data("t".utf8)
                },
                .with {
                    $0.id = 11
                    $0.put = .with("k", "v")
                    $0.put.condition.absent = true
                },
            ]
            let found = try await run(grpc, calls)
            let answers = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0) })
            #expect(answers[2]?.increment.value == 2)
            #expect(answers[3]?.append.length == 2)
            #expect(answers[4]?.expire.existed == true)
            #expect(answers[5]?.get.value == Data("20".utf8))
            #expect(answers[6]?.batch.results.first?.get.value == Data("20".utf8))
            #expect(answers[7]?.delete.existed == true)
            #expect(answers[8]?.increment.value == 1 && answers[9]?.increment.value == 1)
            #expect(answers[10]?.error.reason == "BAD_REQUEST")
            #expect(answers[11]?.error.reason == "CONDITION_FAILED")
            #expect(answers[11]?.error.version ?? 0 > 0)
        }
    }

    @Test func `a stopping server answers what is under way and ends the pipeline`() async throws {
        try await GRPCHarness.run { grpc async throws in
            grpc.service.hold()
            let (ends, end) = AsyncStream<Void>.makeStream()
            let count = Mutex(0)
            let failed = await failure {
                try await grpc.stream(.pipeline) { writer in
                    try await writer.write(Self.message((1...5).map { Self.put($0, "k") }))
                    while grpc.service.heldCount < 5 { await Task.yield() }
                    grpc.listener.stop()
                    grpc.service.release()
                    for await _ in ends {}
                } receive: { (messages: Answers) in
                    defer { end.finish() }
                    for try await message in messages { count.withLock { $0 += message.answers.count } }
                }
            }
            #expect(failed?.code == .unavailable)
            #expect(count.withLock { $0 } == 5)
        }
    }
}
