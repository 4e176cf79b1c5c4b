import KVBase
import KVService
import Testing

/// Answers every request from a script, the last first, so that order is the sink's work.
private final class ScriptedService: KeyValueService {
    let answer: @Sendable (Request) -> OwnedReply?
    let requestLimits = RequestLimits()

    init(_ answer: @escaping @Sendable (Request) -> OwnedReply?) { self.answer = answer }

    func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink) {
        let bytes = batch.bytes
        for item in batch.items.reversed() {
            bytes.withUnsafeBytes { buffer in
                let view = UnsafeRawBufferPointer(rebasing: buffer[Int(item.offset)..<Int(item.offset + item.length)])
                guard let request = try? Request(view), let owned = answer(request) else {
                    sink.complete(item.tag, .failed(ServiceError(.moving, "scripted")))
                    return
                }
                (owned.value ?? []).withUnsafeBytes { value in
                    sink.complete(
                        item.tag,
                        Reply(
                            owned.outcome,
                            version: owned.version,
                            expiresAt: owned.expiresAt,
                            integer: owned.integer,
                            value: owned.value == nil ? nil : value
                        )
                    )
                }
            }
        }
    }

    func scan(_ request: ScanRequest, completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void) {
        completion(.success(ScanPage(rows: [], hasMore: request.isReversed)))
    }
    func count(_ consistency: Consistency, completion: @escaping @Sendable (Result<UInt64, ServiceError>) -> Void) {
        completion(consistency == .stale ? .success(3) : .failure(ServiceError(.noLeader, "scripted")))
    }
    func keepScanPosition(_ key: [UInt8]) -> UInt64 { UInt64(key.count) }
    func scanPosition(_ cursor: UInt64, completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void) {
        completion(.failure(ScanPositions.expired))
    }
    func submit(_ request: ShardRequest, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void) {
        completion(.success(request == .clear))
    }
    func status(completion: @escaping @Sendable (NodeStatus) -> Void) {
        completion(
            NodeStatus(
                node: NodeID(1),
                cluster: ClusterID(high: 1, low: 2),
                incarnation: Incarnation(3),
                softwareVersion: "x",
                isReady: true,
                alarms: [],
                groups: [],
                peers: [],
                storage: NodeStatus.Storage()
            )
        )
    }
    func digest(completion: @escaping @Sendable (Result<[ShardDigest], ServiceError>) -> Void) {
        completion(.success([]))
    }
}

@Test func `one request, one owned answer`() async throws {
    let service = ScriptedService { request in
        OwnedReply(.found, version: 9, expiresAt: 8, integer: 7, value: Array(request.key))
    }
    let reply = try await service.get(Array("abc".utf8))
    #expect(reply == OwnedReply(.found, version: 9, expiresAt: 8, integer: 7, value: Array("abc".utf8)))
    #expect(try await service.put([1], [2]).version == 9)
    #expect(try await service.delete([1]).version == 9)
    #expect(try await service.head([1]).version == 9)
    #expect(try await service.increment([1], by: 2).version == 9)
    #expect(try await service.append([1], [2]).version == 9)
    #expect(try await service.expire([1], .none).version == 9)
}

@Test func `no value is told from an empty one`() async throws {
    let none = ScriptedService { _ in OwnedReply(.absent) }
    let empty = ScriptedService { _ in OwnedReply(.found, value: []) }
    #expect(try await none.get([1]).value == nil)
    #expect(try await empty.get([1]).value == [])
}

@Test func `a failure is thrown with its code`() async {
    let service = ScriptedService { _ in nil }
    await #expect(throws: ServiceError(.moving, "scripted")) { try await service.get([1]) }
    await #expect(throws: ServiceError(.noLeader, "scripted")) { try await service.count() }
}

@Test func `replies to a batch come in the order of its items`() async {
    let service = ScriptedService { request in
        request.key.first == 2 ? nil : OwnedReply(.found, integer: Int64(request.key[0]))
    }
    var batch = RequestBatch()
    for number in 0..<4 { [UInt8(number)].withUnsafeBytes { batch.get($0, tag: UInt64(number)) } }
    let replies = await service.replies(to: batch)
    #expect(replies.count == 4)
    #expect(replies[3] == .success(OwnedReply(.found, integer: 3)))
    #expect(replies[2] == .failure(ServiceError(.moving, "scripted")))
    #expect(await service.replies(to: RequestBatch()).isEmpty)
}

@Test func `the other calls bridge as well`() async throws {
    let service = ScriptedService { _ in nil }
    #expect(try await service.scan(ScanRequest(isReversed: true)).hasMore)
    #expect(try await service.count(.stale) == 3)
    #expect(await service.status().node == NodeID(1))
    #expect(try await service.digest().isEmpty)
}

@Test func `error codes have distinct names`() {
    #expect(Set(ServiceError.Code.all.map(\.rawValue)).count == ServiceError.Code.all.count)
}
