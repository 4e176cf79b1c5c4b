import Foundation
import KVClient
import Synchronization

/// Users of the client library who write and read all the time, each its own keys, and note every request that failed for good.
final class ClientLoad: Sendable {
    private struct State {
        var isStopped = false
        var requests = 0
        var failures: [String] = []
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)
    private let users: Int

    /// Begins at once, over these ports of this machine.
    init(users: Int = 4, ports: [Int], httpPorts: [Int]) {
        self.users = users
        let client = KVClient(
            .init(
                endpoints: ports.map { Endpoint(host: "127.0.0.1", port: $0) },
                httpEndpoints: httpPorts.map { Endpoint(host: "127.0.0.1", port: $0) },
                requestTimeout: .seconds(15)
            )
        )
        let users = self.users
        Task.detached { [self] in
            await withDiscardingTaskGroup { group in
                for user in 0..<users { group.addTask { await self.run(user, client) } }
            }
            await client.shutdown()
            ended.signal()
        }
    }

    var requests: Int { state.withLock { $0.requests } }
    var failures: [String] { state.withLock { $0.failures } }

    /// Ends the users' work and waits for them.
    func stop() {
        state.withLock { $0.isStopped = true }
        ended.wait()
    }

    private func run(_ user: Int, _ client: KVClient) async {
        var number = 0
        while !state.withLock({ $0.isStopped }) {
            number += 1
            let (key, value) = ("user-\(user)-\(number % 64)", "\(number)")
            do {
                try await client.put(key, value)
                let found = try await client.get(key)
                if found != Array(value.utf8) { throw Wrong(text: "\(key) is not \(value)") }
                state.withLock { $0.requests += 2 }
            } catch {
                state.withLock { $0.failures.append("\(error)") }
            }
        }
    }

    private struct Wrong: Error {
        let text: String
    }
}
