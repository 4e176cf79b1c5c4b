import Foundation
import Synchronization

/// Clients that write and read all the time, each its own keys, through the nodes that they are given, and note every request that
/// failed.
final class Load: Sendable {
    private struct State {
        var ports: [Int]
        var isStopped = false
        var requests = 0
        var failures: [String] = []
        /// What each key must hold.
        var written: [String: String] = [:]
    }

    private let state: Mutex<State>
    private let ended = DispatchSemaphore(value: 0)
    private let clients: Int

    /// Begins at once.
    init(clients: Int = 4, ports: [Int]) {
        self.clients = clients
        state = Mutex(State(ports: ports))
        for client in 0..<clients { Thread.detachNewThread { self.run(client) } }
    }

    /// From the next request on the clients go to these nodes.
    func move(to ports: [Int]) {
        state.withLock { $0.ports = ports }
        // Each has finished what it did through the others.
        let before = requests
        _ = Poll.until(20) { requests >= before + clients * 4 }
    }

    var requests: Int { state.withLock { $0.requests } }
    var failures: [String] { state.withLock { $0.failures } }

    /// Ends the clients; returns what each key must hold.
    func stop() -> [String: String] {
        state.withLock { $0.isStopped = true }
        for _ in 0..<clients { ended.wait() }
        return state.withLock { $0.written }
    }

    private func run(_ client: Int) {
        defer { ended.signal() }
        var connection: (port: Int, open: RESPConnection)?
        var number = 0
        while true {
            let (ports, isStopped) = state.withLock { ($0.ports, $0.isStopped) }
            if isStopped { return }
            let port = ports[(client + number / 16) % ports.count]
            number += 1
            let (key, value) = ("load-\(client)-\(number % 64)", "\(number)")
            do {
                if connection?.port != port { connection = (port, try RESPConnection(port: port, within: 10)) }
                guard let open = connection?.open else { continue }
                let isRead = number.isMultiple(of: 3)
                let answer = try isRead ? open.ask("GET", key) : open.ask("SET", key, value)
                let expected = state.withLock { $0.written[key] }
                let isRight = isRead ? answer == (expected.map { .text($0) } ?? .none) : answer == .ok
                state.withLock { state in
                    state.requests += 1
                    if !isRight { state.failures.append("\(isRead ? "GET" : "SET") \(key) at \(port): \(answer)") }
                    if !isRead, isRight { state.written[key] = value }
                }
            } catch {
                connection = nil
                state.withLock { $0.failures.append("\(key) at \(port): \(error)") }
                usleep(20_000)
            }
        }
    }
}
