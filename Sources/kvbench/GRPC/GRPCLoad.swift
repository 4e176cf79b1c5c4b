import CEpoll
import Glibc
import Histogram

/// One thread that keeps calls under way.
final class GRPCLoad {
    private let settings: GRPCCommand
    private let kind: CallKind
    private let connections: [CallConnection]
    private let set: Int32
    private let value: [UInt8]
    private var random: UInt64 = 0x9e37_79b9_7f4a_7c15
    private var isMeasuring = false
    private var latencies = Histogram<UInt64>(numberOfSignificantValueDigits: .three)
    private var operations: UInt64 = 0
    private var failed: UInt64 = 0

    /// A load whose connections are being opened.
    init(_ settings: GRPCCommand, _ kind: CallKind) throws {
        self.settings = settings
        self.kind = kind
        set = kv_epoll_create()
        guard set >= 0 else { throw BenchmarkError("the system has no epoll: \(String(cString: strerror(errno)))") }
        let endpoint = try LoadEndpoint(settings.endpoint)
        connections = try (0..<settings.connections).map { _ in try CallConnection(endpoint, kind) }
        value = (0..<settings.valueSize).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        for (place, connection) in connections.enumerated() {
            guard kv_epoll_watch(set, connection.descriptor, UInt64(place), 1, 1) == 0 else {
                throw BenchmarkError("cannot watch a socket: \(String(cString: strerror(errno)))")
            }
        }
    }

    deinit { close(set) }

    /// Runs for its time.
    func run() throws -> GRPCReport {
        let begin = nowNanoseconds() + UInt64(settings.warmup * 1e9)
        let end = begin + UInt64(settings.duration * 1e9)
        var usage = ProcessUsage()
        var ready = [kv_ready](repeating: kv_ready(), count: 64)
        while true {
            var now = nowNanoseconds()
            if now >= end { break }
            if !isMeasuring, now >= begin {
                isMeasuring = true
                usage = ProcessUsage()
            }
            let found = kv_epoll_wait(set, &ready, 64, 100_000_000)
            now = nowNanoseconds()
            for place in 0..<max(0, Int(found)) {
                let connection = connections[Int(ready[place].tag)]
                if ready[place].readable != 0 {
                    try connection.receive(now: now) { [self] nanoseconds, isGood in
                        guard isMeasuring else { return }
                        guard isGood else {
                            failed += 1
                            return
                        }
                        operations += 1
                        _ = latencies.record(nanoseconds)
                    }
                }
                try send(connection, ready[place].tag, now)
            }
        }
        return GRPCReport(
            call: kind.rawValue,
            connections: settings.connections,
            inFlight: settings.inFlight,
            seconds: settings.duration,
            operations: operations,
            failed: failed,
            opsPerSecond: Double(operations) / settings.duration,
            latencyMicroseconds: LoadReport.Latency(latencies),
            clientBusy: (ProcessUsage().cpuSeconds - usage.cpuSeconds) / settings.duration
        )
    }

    private func send(_ connection: CallConnection, _ tag: UInt64, _ now: UInt64) throws {
        let share = settings.inFlight / settings.connections
        let depth = share + (Int(tag) < settings.inFlight % settings.connections ? 1 : 0)
        connection.fill(depth: depth, now: now) { bytes in
            kind.append(to: &bytes, key: draw() % settings.keys, keyBytes: settings.keySize, value: value)
        }
        var isBlocked = false
        while connection.output.count > 0, !isBlocked {
            switch connection.output.write(connection.descriptor) {
            case .moved: break
            case .wouldBlock: isBlocked = true
            case .ended: throw BenchmarkError("\(settings.endpoint) is not there or closed the connection")
            }
        }
        guard kv_epoll_watch(set, connection.descriptor, tag, 0, isBlocked ? 1 : 0) == 0 else {
            throw BenchmarkError("cannot watch a socket: \(String(cString: strerror(errno)))")
        }
    }

    /// xorshift64: which key is next.
    private func draw() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }
}
