import NIOCore
import Synchronization

/// The place of one endpoint's connection: made when first asked for, shared by all who ask meanwhile, made anew once lost.
final class ConnectionSlot: Sendable {
    private struct State {
        var future: EventLoopFuture<RESPConnection>?
        /// Which attempt `future` is, so that the end of an old one does not drop a new one.
        var generation = 0
        var isShutDown = false
    }

    let endpoint: Endpoint
    private let options: RESPConnection.Options
    private let group: any EventLoopGroup
    private let state = Mutex(State())

    init(endpoint: Endpoint, options: RESPConnection.Options, group: any EventLoopGroup) {
        self.endpoint = endpoint
        self.options = options
        self.group = group
    }

    var isShutDown: Bool { state.withLock { $0.isShutDown } }

    /// The connection, once it stands.
    /// - Throws: `.cannotConnect`, or `.closed` after `shutdown`.
    func connection() async throws(ClientError) -> RESPConnection {
        guard let future = current() else { throw .closed }
        do {
            return try await future.get()
        } catch let error as ClientError {
            // The node was reached and does not believe who the client is: no other will.
            throw error
        } catch {
            throw .cannotConnect("\(endpoint): \(RESPConnection.reason(error))")
        }
    }

    func shutdown() {
        let future = state.withLock { state in
            state.isShutDown = true
            defer { state.future = nil }
            return state.future
        }
        future?.whenSuccess { $0.close() }
    }

    private func current() -> EventLoopFuture<RESPConnection>? {
        // Starting a connection only posts to an event loop, so it may happen under the lock; what watches its end may run at
        // once and takes the lock itself, so that is hung on outside.
        let (future, generation, isNew) = state.withLock { state -> (EventLoopFuture<RESPConnection>?, Int, Bool) in
            if state.isShutDown { return (nil, 0, false) }
            if let future = state.future { return (future, state.generation, false) }
            let future = RESPConnection.start(to: endpoint, options: options, on: group)
            state.future = future
            state.generation += 1
            return (future, state.generation, true)
        }
        if isNew, let future {
            future.whenComplete { result in
                switch result {
                case .failure: self.forget(generation)
                case .success(let connection): connection.closeFuture.whenComplete { _ in self.forget(generation) }
                }
            }
        }
        return future
    }

    private func forget(_ generation: Int) {
        state.withLock { state in
            if state.generation == generation { state.future = nil }
        }
    }
}
