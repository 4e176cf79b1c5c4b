import KVBase
import KVService
import Synchronization
import Testing

/// Takes down what reaches the service.
final class RecordingService: KeyValueService {
    let tags = Mutex<[UInt64]>([])
    let rows = Mutex<[[UInt8]]>([])

    func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink) {
        let items = batch.items
        tags.withLock { $0 += items.map(\.tag) }
        for item in items { sink.complete(item.tag, Reply(.done)) }
    }

    func scan(_ request: ScanRequest, completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void) {
        var keys = rows.withLock { $0 }.sorted { $0.lexicographicallyPrecedes($1) }.filter { key in
            key.starts(with: request.prefix) && !key.lexicographicallyPrecedes(request.start)
                && (request.end.map { key.lexicographicallyPrecedes($0) } ?? true)
        }
        if request.isReversed { keys.reverse() }
        let page = keys.prefix(request.limit).map { ScanPage.Row(key: $0, value: [], version: 1, expiresAt: 0) }
        completion(.success(ScanPage(rows: page, hasMore: keys.count > page.count)))
    }

    func count(_ consistency: Consistency, completion: @escaping @Sendable (Result<UInt64, ServiceError>) -> Void) {
        completion(.success(7))
    }

    func keepScanPosition(_ key: [UInt8]) -> UInt64 { 1 }

    func scanPosition(_ cursor: UInt64, completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void) {
        completion(.success([]))
    }

    func submit(_ request: ShardRequest, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void) {
        completion(.success(true))
    }

    func status(completion: @escaping @Sendable (NodeStatus) -> Void) {}
    func slowRequests(completion: @escaping @Sendable ([SlowRequest]) -> Void) { completion([]) }
    func digest(completion: @escaping @Sendable (Result<[ShardDigest], ServiceError>) -> Void) {
        completion(.success([]))
    }
    var requestLimits: RequestLimits { RequestLimits() }
}

/// Takes down the codes of failures by tag; nil for what was done.
private final class CodeSink: ReplySink {
    let codes = Mutex<[UInt64: ServiceError.Code?]>([:])

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        let code = reply.error?.code
        codes.withLock { $0[tag] = .some(code) }
    }
}

@Suite struct ClientSessionTests {
    private let service = RecordingService()
    private let control = AccessControl(isDemanded: true)

    private func session(_ grants: AccessGrant..., isAdministrator: Bool = false) throws -> ClientSession {
        var state = AccessState()
        _ = state.apply(.addUser("u", isAdministrator: isAdministrator, passwordHash: "h", grants: grants))
        control.update(state)
        let session = ClientSession(service, control)
        session.begin(as: Principal("u", try #require(control.user("u"))))
        return session
    }

    private func code(_ session: ClientSession, _ fill: (inout RequestBatch) -> Void) -> ServiceError.Code? {
        var batch = RequestBatch()
        fill(&batch)
        let sink = CodeSink()
        session.submit(batch, to: sink)
        return sink.codes.withLock { $0[0] ?? .internalError }
    }

    private func bytes(_ text: String, _ body: (UnsafeRawBufferPointer) -> Void) {
        Array(text.utf8).withUnsafeBytes(body)
    }

    /// Every kind of request about the key `a` or `{x}a`, with what it needs.
    private static let kinds: [(String, Permissions, @Sendable (inout RequestBatch, UnsafeRawBufferPointer) -> Void)] =
        [
            ("get", .read, { $0.get($1, tag: 0) }), ("head", .read, { $0.head($1, tag: 0) }),
            ("stale get", .read, { $0.get($1, tag: 0, consistency: .stale) }),
            ("put", .write, { $0.put($1, $1, tag: 0) }),
            ("put and tell", .all, { $0.put($1, $1, tag: 0, flags: .returnPrevious) }),
            ("delete", .write, { $0.delete($1, tag: 0) }),
            ("delete and tell", .all, { $0.delete($1, tag: 0, flags: .returnPrevious) }),
            ("expire", .write, { $0.expire($1, .none, tag: 0) }),
            ("increment", .all, { $0.increment($1, by: 1, tag: 0) }), ("append", .all, { $0.append($1, $1, tag: 0) }),
        ]

    @Test(arguments: kinds.indices)
    func `a request needs its permissions for its key, plain or within a transaction`(place: Int) throws {
        let (name, needed, fill) = Self.kinds[place]
        for permissions in [Permissions.read, .write, .all] {
            let session = try session(AccessGrant(permissions, prefix: Array("a".utf8)))
            let expected: ServiceError.Code? = needed.isSubset(of: permissions) ? nil : .permissionDenied
            #expect(code(session) { batch in bytes("a1") { fill(&batch, $0) } } == expected, "\(name)")
            #expect(code(session) { batch in bytes("b1") { fill(&batch, $0) } } == .permissionDenied, "\(name)")
            let inTransaction = code(session) { batch in
                bytes("a1") { fill(&batch, $0) }
                _ = batch.joinAsTransaction(from: 0, tag: 0)
            }
            #expect(inTransaction == expected, "\(name) in a transaction")
            guard !needed.isSubset(of: .read) else { continue }
            for wrap in [true, false] {
                let once = code(session) { batch in
                    bytes("a1") { fill(&batch, $0) }
                    if wrap {
                        batch.putLastInSession(SessionStamp(session: 1, sequence: 1, lowestOutstanding: 1))
                    } else {
                        batch.doLastOnce(token: Array("token".utf8), keepMilliseconds: 5_000)
                    }
                }
                #expect(once == expected, "\(name) once")
            }
        }
    }

    @Test func `a transaction is refused whole where one key of it is not allowed`() throws {
        let session = try session(AccessGrant(.all, prefix: Array("{x}a".utf8)))
        for other in ["{x}a2", "{x}b"] {
            let found = code(session) { batch in
                bytes("{x}a1") { key in batch.put(key, key, tag: 0) }
                bytes(other) { batch.get($0, tag: 1) }
                _ = batch.joinAsTransaction(from: 0, tag: 0)
            }
            #expect(found == (other == "{x}a2" ? nil : .permissionDenied))
        }
    }

    @Test func `of a batch the allowed is served, and what must happen together is refused together`() throws {
        let session = try session(AccessGrant(.all, prefix: Array("a".utf8)))
        var batch = RequestBatch()
        bytes("a1") { batch.get($0, tag: 0) }
        bytes("b1") { batch.get($0, tag: 1) }
        bytes("a2") { batch.put($0, $0, tag: 2) }
        bytes("b2") { batch.put($0, $0, tag: 3, joinsPrevious: true) }
        bytes("a3") { batch.put($0, $0, tag: 4) }
        let sink = CodeSink()
        session.submit(batch, to: sink)
        #expect(service.tags.withLock { $0 } == [0, 4])
        let denied = sink.codes.withLock { codes in codes.filter { $0.value == .permissionDenied }.keys.sorted() }
        #expect(denied == [1, 2, 3])
    }

    @Test func `nothing is served to who has not said who it is`() async {
        let session = ClientSession(service, control)
        control.update(AccessState())
        #expect(code(session) { batch in bytes("a") { batch.get($0, tag: 0) } } == .unauthenticated)
        await #expect(throws: ServiceError.self) { _ = try await session.scan(ScanRequest()) }
        await #expect(throws: ServiceError.self) { _ = try await session.count() }
        await #expect(throws: ServiceError.self) { _ = try await session.submit(.clear) }
        await #expect(throws: ServiceError.self) { _ = try await session.digest() }
        #expect(service.tags.withLock { $0.isEmpty })
    }

    @Test func `removing everything and digests are for administrators`() async throws {
        let limited = try session(AccessGrant(.all, prefix: []))
        await #expect(throws: ServiceError.self) { _ = try await limited.submit(.clear) }
        await #expect(throws: ServiceError.self) { _ = try await limited.digest() }
        #expect(code(limited) { batch in batch.clear(Slot(rawValue: 0), tag: 0) } == .permissionDenied)
        #expect(try await limited.count() == 7)
        let administrator = try session(isAdministrator: true)
        #expect(try await administrator.submit(.clear))
    }

    @Test func `a listing shows the keys that may be read and no others, both ways, page by page`() async throws {
        let keys = ["a", "a1", "a2", "ab1", "ab2", "b", "c1", "c2", "d"].map { Array($0.utf8) }
        service.rows.withLock { $0 = keys }
        let grants = [("a1", Permissions.read), ("ab", .all), ("abx", .read), ("c", .read), ("d", .write)].map {
            AccessGrant($0.1, prefix: Array($0.0.utf8))
        }
        let session = try session(grants[0], grants[1], grants[2], grants[3], grants[4])
        for (prefix, expected) in [
            ("", ["a1", "ab1", "ab2", "c1", "c2"]), ("a", ["a1", "ab1", "ab2"]), ("c1", ["c1"]), ("b", []),
        ] {
            for limit in 1...6 {
                for isReversed in [false, true] {
                    var found: [String] = []
                    var request = ScanRequest(prefix: Array(prefix.utf8), limit: limit, isReversed: isReversed)
                    while true {
                        let page = try await session.scan(request)
                        #expect(page.rows.count <= limit)
                        found += page.rows.map { String(decoding: $0.key, as: UTF8.self) }
                        guard page.hasMore, let last = page.rows.last else { break }
                        if isReversed { request.end = last.key } else { request.start = last.key + [0] }
                    }
                    #expect(found == (isReversed ? expected.reversed() : expected))
                }
            }
        }
        await #expect(throws: ServiceError.self) { _ = try await session.count() }
    }
}
