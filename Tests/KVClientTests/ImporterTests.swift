import Foundation
import Synchronization
import Testing

@testable import KVClient

/// Bytes from memory, in pieces.
final class MemorySource: ByteSource {
    private let rest: Mutex<ArraySlice<UInt8>>
    private let size: Int

    init(_ text: String, pieces size: Int = 1000) {
        rest = Mutex(bytes(text)[...])
        self.size = size
    }

    func read() -> [UInt8] {
        rest.withLock { rest in
            defer { rest = rest.dropFirst(size) }
            return Array(rest.prefix(size))
        }
    }
}

/// What fake servers together hold.
final class Store: Sendable {
    private let state = Mutex<[String: [String]]>([:])
    /// Every value a key was set to, in order.
    func history(_ key: String) -> [String] { state.withLock { $0[key] ?? [] } }
    func set(_ key: String, _ value: String) { state.withLock { $0[key, default: []].append(value) } }
    var count: Int { state.withLock { $0.count } }
}

struct ImporterTests {
    private func options(_ folder: URL? = nil) -> ImportOptions {
        var options = ImportOptions(RecordSpecification(format: .tsv, keyColumns: [.number(1)]))
        options.inFlightMax = 64
        options.requestTimeout = .seconds(300)
        if let folder {
            options.stateFile = folder.appendingPathComponent("state").path
            options.acknowledgedFile = folder.appendingPathComponent("acknowledged").path
            options.unacknowledgedFile = folder.appendingPathComponent("unacknowledged").path
            options.progressFile = folder.appendingPathComponent("progress").path
        }
        return options
    }

    private func withFolder<R>(_ body: (URL) async throws -> R) async throws -> R {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("import-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder)
    }

    private func text(_ url: URL) -> String? { try? String(contentsOf: url, encoding: .utf8) }

    private func file(_ count: Int, keys: Int = .max) -> String {
        (0..<count).map { "k\($0 % keys)\tv\($0)\n" }.joined()
    }

    @Test func `every record is stored once and acknowledged, over all endpoints`() async throws {
        try await withFolder { folder in
            let store = Store()
            let script: FakeServer.Script = { words, _ in
                store.set(words[1], words[2])
                return .reply("+OK\r\n")
            }
            let servers = [try await FakeServer.start(script), try await FakeServer.start(script)]
            let importer = Importer(
                endpoints: servers.map(\.endpoint),
                source: MemorySource(file(5000)),
                options: options(folder)
            )
            let summary = try await importer.run()
            #expect(summary.isComplete)
            #expect(summary.records == 5000 && summary.acknowledged == 5000 && summary.retried == 0)
            #expect(store.count == 5000)
            #expect(servers.allSatisfy { $0.requests.count > 0 })
            #expect(text(folder.appendingPathComponent("progress")) == "5000\n")
            #expect(text(folder.appendingPathComponent("acknowledged"))?.split(separator: "\n").count == 5000)
            #expect(text(folder.appendingPathComponent("state")) == nil)
            #expect(text(folder.appendingPathComponent("unacknowledged")) == nil)
            for server in servers { try await server.stop() }
        }
    }

    @Test func `connections lost in mid-flight and nodes without a leader cost retries and no record`() async throws {
        let store = Store()
        // Every 97th request ends its connection after taking effect, every 31st is refused for now, every 43rd has an unknown outcome.
        let script: FakeServer.Script = { words, number in
            if number % 31 == 30 {
                return .reply(number % 2 == 0 ? "-CLUSTERDOWN no leader\r\n" : "-TRYAGAIN moving\r\n")
            }
            store.set(words[1], words[2])
            if number % 97 == 96 { return .close }
            return .reply(number % 43 == 42 ? "-UNKNOWN leader lost\r\n" : "+OK\r\n")
        }
        let servers = [try await FakeServer.start(script), try await FakeServer.start(script)]
        let importer = Importer(
            endpoints: servers.map(\.endpoint),
            source: MemorySource(file(3000, keys: 300)),
            options: options()
        )
        let summary = try await importer.run()
        #expect(summary.isComplete)
        #expect(summary.acknowledged == 3000)
        #expect(summary.retried > 0)
        for key in 0..<300 {
            // Repeats are allowed, going back is not.
            let history = store.history("k\(key)").compactMap { Int($0.dropFirst()) }
            #expect(history == history.sorted(), "k\(key)")
            #expect(Set(history).count == 10, "k\(key)")
        }
        for server in servers { try await server.stop() }
    }

    @Test func `it goes on over the endpoints that are left`() async throws {
        let dead = try await deadEndpoint()
        let server = try await FakeServer.start { _, _ in .reply("+OK\r\n") }
        let summary = try await Importer(
            endpoints: [dead, server.endpoint],
            source: MemorySource(file(100)),
            options: options()
        ).run()
        #expect(summary.isComplete)
        try await server.stop()
    }

    @Test func `without any endpoint nothing is sent and the error says so`() async throws {
        let dead = try await deadEndpoint()
        var options = options()
        options.requestTimeout = .milliseconds(50)
        await #expect(throws: ImportError.self) {
            try await Importer(endpoints: [dead], source: MemorySource(file(10)), options: options).run()
        }
    }

    @Test func `giving up names exactly what was not acknowledged`() async throws {
        try await withFolder { folder in
            let server = try await FakeServer.start { words, _ in
                Int(words[1].dropFirst()).map { $0 == 3 || $0 >= 6 } == true
                    ? .reply("-CLUSTERDOWN no leader\r\n") : .reply("+OK\r\n")
            }
            var options = options(folder)
            options.inFlightMax = 4
            options.giveUpAfter = .milliseconds(100)
            let summary = try await Importer(
                endpoints: [server.endpoint],
                source: MemorySource(file(20)),
                options: options
            ).run()
            #expect(!summary.isComplete)
            #expect(summary.stopped?.contains("no record was acknowledged") == true)
            let acknowledged = try #require(text(folder.appendingPathComponent("acknowledged")))
                .split(separator: "\n").compactMap { $0.split(separator: "\t").first.flatMap { UInt64($0) } }
            #expect(summary.acknowledged == UInt64(acknowledged.count))
            #expect(Set(acknowledged).isSubset(of: [1, 2, 3, 5, 6]))
            let named = summary.examples.map(\.line)
            #expect(named.contains(4))
            let firstUnsent = try #require(summary.firstUnsentLine)
            // Each line is acknowledged, named, or behind the first unsent one, and only one of these.
            #expect((acknowledged + named + Array(firstUnsent...20)).sorted() == Array(1...20))
            #expect(
                text(folder.appendingPathComponent("unacknowledged"))?.split(separator: "\n").count == named.count + 1
            )
            try await server.stop()
        }
    }

    @Test func `a resumed import sends only what is left, and the refused again`() async throws {
        try await withFolder { folder in
            let isRepaired = Atomic<Bool>(false)
            let store = Store()
            let server = try await FakeServer.start { words, _ in
                let number = Int(words[1].dropFirst()) ?? 0
                if !isRepaired.load(ordering: .relaxed) {
                    if number == 2 { return .reply("-ERR value too long\r\n") }
                }
                store.set(words[1], words[2])
                return .reply("+OK\r\n")
            }
            var options = options(folder)
            let first = try await Importer(
                endpoints: [server.endpoint],
                source: MemorySource(file(50) + "bad\n"),
                options: options
            ).run()
            #expect(first.acknowledged == 49)
            #expect(first.refused == 1)
            #expect(first.examples.first?.reason == "refused: ERR value too long")

            isRepaired.store(true, ordering: .relaxed)
            options.resumes = true
            let second = try await Importer(
                endpoints: [server.endpoint],
                source: MemorySource(file(100)),
                options: options
            ).run()
            #expect(second.isComplete)
            #expect(second.records == 100 && second.acknowledged == 100 && second.acknowledgedEarlier == 49)
            #expect(store.count == 100)
            #expect(store.history("k0") == ["v0"])
            #expect(text(folder.appendingPathComponent("acknowledged"))?.split(separator: "\n").count == 100)
            #expect(text(folder.appendingPathComponent("state")) == nil)
            try await server.stop()
        }
    }

    @Test func `a state file is not taken for another input`() async throws {
        try await withFolder { folder in
            let server = try await FakeServer.start { _, _ in
                .reply("+OK\r\n")
            }
            var options = options(folder)
            _ = try await Importer(
                endpoints: [server.endpoint],
                source: MemorySource(file(9) + "bad\n"),
                options: options
            ).run()
            options.resumes = true
            let path = try #require(options.stateFile)
            for other in ["x\ty\n" + file(20), "k0\tv0\n"] {
                await #expect(throws: ImportError.otherInput(path: path, records: 9)) {
                    try await Importer(endpoints: [server.endpoint], source: MemorySource(other), options: options)
                        .run()
                }
            }
            try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
            await #expect(throws: ImportError.self) {
                try await Importer(endpoints: [server.endpoint], source: MemorySource(file(10)), options: options).run()
            }
            try await server.stop()
        }
    }

    @Test func `a bad line stops the import behind what is before it`() async throws {
        let server = try await FakeServer.start { _, _ in .reply("+OK\r\n") }
        let importer = Importer(
            endpoints: [server.endpoint],
            source: MemorySource("a\t1\nb\t2\nbad\nc\t3\n"),
            options: options()
        )
        let summary = try await importer.run()
        #expect(summary.acknowledged == 2)
        #expect(summary.stopped?.hasPrefix("line 3: ") == true)
        #expect(summary.firstUnsentLine == 3)
        await #expect(throws: ImportError.badRecord(.ambiguousValue(line: 1, columns: 0))) {
            try await Importer(endpoints: [server.endpoint], source: MemorySource("bad\n"), options: options()).run()
        }
        try await server.stop()
    }

    @Test func `stopping it leaves a report, not a hang`() async throws {
        let server = try await FakeServer.start { _, _ in .ignore }
        let importer = Importer(endpoints: [server.endpoint], source: MemorySource(file(10)), options: options())
        importer.stop("interrupted")
        let summary = try await importer.run()
        #expect(summary.stopped == "interrupted")
        #expect(summary.acknowledged == 0)
        #expect(!summary.isComplete)
        try await server.stop()
    }
}
