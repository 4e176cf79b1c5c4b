import Glibc
import Synchronization
import Testing

@testable import kvbench

/// Answers `+OK` to each line feed in groups of seven, which is how a SET ends; holds the first answer back until it is told to go on.
private final class StallingServer: Sendable {
    let port: UInt16
    private let listener: Int32

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        port = try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                guard bind(listener, raw, size) == 0, listen(listener, 8) == 0, getsockname(listener, raw, &size) == 0
                else { throw BenchmarkError("cannot listen: \(errno)") }
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }

    deinit { close(listener) }

    /// Serves one connection until it ends; nothing is answered before so many requests have been sent.
    func serve(holdingBackFor requests: Int) {
        let connection = accept(listener, nil, nil)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var (lines, answered) = (0, 0)
        while true {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            lines += buffer[..<count].count { $0 == UInt8(ascii: "\n") }
            let whole = lines / 7
            guard whole >= requests else { continue }
            let replies = Array(String(repeating: "+OK\r\n", count: whole - answered).utf8)
            answered = whole
            _ = send(connection, replies, replies.count, Int32(MSG_NOSIGNAL))
        }
        close(connection)
    }
}

@Suite struct `an open loop` {
    @Test func `counts the wait of every request that a stall held up`() throws {
        let server = try StallingServer()
        let settings = LoadSettings(
            endpoints: [try LoadEndpoint("127.0.0.1:\(server.port)")],
            threads: 1,
            connections: 1,
            pipeline: 64,
            rate: 1_000,
            seconds: 1,
            requests: 60,
            warmupSeconds: 0,
            mix: try OperationMix("put=1"),
            keys: .init(order: .uniform, count: 10, bytes: 16),
            valueBytes: 8...8,
            seed: 1,
            timeoutSeconds: 60
        )
        // The server answers when the last request has arrived: the first of 60 has waited for 59 ms by then, whatever the machine does.
        runThreads([{ server.serve(holdingBackFor: 60) }, { Self.put(settings) }])
        let tally = try #require(Self.result.withLock { $0 })
        let put = tally.kinds[Int(OperationMix.Kind.put.rawValue)]
        #expect(put.operations == 60)
        #expect(tally.failures.isEmpty)
        #expect(put.latencies.max >= 58_000_000)
        // Half of them waited for at least half of that: a closed loop would have seen one slow request.
        #expect(put.latencies.valueAtPercentile(50) >= 28_000_000)
    }

    private static let result = Mutex<LoadTally?>(nil)

    private static func put(_ settings: LoadSettings) {
        do {
            let (tally, _, _) = try LoadRun.run(settings)
            result.withLock { $0 = tally }
        } catch {
            Issue.record("\(error)")
        }
    }
}
