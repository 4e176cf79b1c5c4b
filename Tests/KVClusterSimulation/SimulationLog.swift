import KVBase
import KVSimulation
import Logging

/// Prints what a node logs, with the virtual time, to follow a run that failed.
///
// SENDABLE: the simulator runs in one thread.
struct SimulationLog: LogHandler, @unchecked Sendable {
    let node: NodeID
    let world: SimulatedWorld
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    init(_ node: NodeID, _ world: SimulatedWorld) {
        self.node = node
        self.world = world
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        print("\(world.now / 1_000_000) ms node \(node): \(event.message) \(details.joined(separator: " "))")
    }
}
