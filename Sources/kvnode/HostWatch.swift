import KVConfiguration
import KVEnvironment
import KVNode
import Logging
import NIOCore
import Synchronization

/// Looks every few seconds at what the system has left, and raises and clears the node's alarms for it: a node that runs short says
/// so before it fails.
final class HostWatch: Sendable {
    fileprivate struct State {
        var readings = HostReadings()
        var isLooking = false
        var descriptors: Watermark
        var memory: Watermark
        var disks: [String: Watermark] = [:]
        var diskFreeBytes: UInt64
    }

    /// Goes by other bounds from the next look on.
    func follow(_ alarms: NodeConfiguration.Alarms) {
        state.withLock { state in
            let readings = state.readings
            let isLooking = state.isLooking
            state = State(alarms)
            (state.readings, state.isLooking) = (readings, isLooking)
        }
    }

    /// How often it looks.
    static let interval = TimeAmount.seconds(2)

    private let node: Node
    private let workers: any WorkerPool
    private let places: [(name: String, path: String)]
    private let state: Mutex<State>

    init(_ configuration: NodeConfiguration, _ node: Node, workers: any WorkerPool, log: Logger) {
        self.node = node
        self.workers = workers
        let data = configuration.node.dataDirectory
        places = [("data", data), ("log", configuration.log.directory ?? data)]
        state = Mutex(State(configuration.alarms))
        sayWhatDoesNotFit(configuration, log)
    }

    /// What was seen last.
    var readings: HostReadings { state.withLock { $0.readings } }

    /// Looks, on a worker: a slow disk keeps nobody waiting, and one look at most is under way.
    func look() {
        let isFree = state.withLock { state in
            defer { state.isLooking = true }
            return !state.isLooking
        }
        guard isFree else { return }
        workers.submit { [self] in
            let readings = HostReadings.take(places)
            let alarms = state.withLock { state in
                state.isLooking = false
                state.readings = readings
                return judge(readings, &state)
            }
            for (alarm, text) in alarms { node.setHostAlarm(alarm, text) }
        }
    }

    private func judge(_ readings: HostReadings, _ state: inout State) -> [(NodeAlarm, String?)] {
        var short: [String] = []
        for disk in readings.disks {
            // The mark rises where room falls: it is raised below the bound and cleared a quarter above it.
            let bound = Double(min(state.diskFreeBytes, disk.size / 10))
            let isLow = state.disks[disk.place, default: Watermark(raiseAt: -bound, clearBelow: -bound * 1.25)]
                .update(-Double(disk.free))
            guard isLow, bound > 0 else { continue }
            short.append("\(disk.free >> 20) MiB of \(disk.size >> 20) are left on the disk of the \(disk.place)")
        }
        let memory = share(readings.residentBytes, readings.memoryLimitBytes)
        let descriptors = share(UInt64(readings.openDescriptors), UInt64(readings.descriptorsMax))
        let isMemoryHigh = state.memory.update(memory)
        let areDescriptorsLow = state.descriptors.update(descriptors)
        return [
            (.diskLow, short.isEmpty ? nil : short.joined(separator: "; ") + ": free space or add some"),
            (
                .memoryHigh,
                isMemoryHigh
                    ? "the process takes \(readings.residentBytes >> 20) MiB of \(readings.memoryLimitBytes >> 20): lower"
                        + " storage.memory_budget or give it more" : nil
            ),
            (
                .descriptorsLow,
                areDescriptorsLow
                    ? "\(readings.openDescriptors) of \(readings.descriptorsMax) file descriptors are open: raise the limit"
                        + " (LimitNOFILE, ulimit -n) or lower limits.connections" : nil
            ),
        ]
    }

    private func share(_ part: UInt64, _ whole: UInt64) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }

    /// Settings that this machine cannot honour are said at the start.
    private func sayWhatDoesNotFit(_ configuration: NodeConfiguration, _ log: Logger) {
        let descriptors = HostProcess.descriptorsMax
        let wanted = configuration.limits.connections * 2
        if descriptors < wanted {
            log.warning(
                "limits.connections is more than the open files allow: connections past that are refused",
                metadata: ["connections": "\(configuration.limits.connections)", "open_files": "\(descriptors)"]
            )
        }
        let memory = HostReadings.memoryLimit
        if UInt64(configuration.storage.memoryBudgetBytes) > memory / 10 * 9 {
            log.warning(
                "storage.memory_budget is more than this process can have",
                metadata: [
                    "budget_mib": "\(configuration.storage.memoryBudgetBytes >> 20)", "memory_mib": "\(memory >> 20)",
                ]
            )
        }
    }
}

extension HostWatch.State {
    /// Nothing raised, by these bounds.
    fileprivate init(_ alarms: NodeConfiguration.Alarms) {
        let descriptors = Double(alarms.descriptorsPercent) / 100
        let memory = Double(alarms.memoryPercent) / 100
        self.init(
            descriptors: Watermark(raiseAt: descriptors, clearBelow: descriptors * 0.9),
            memory: Watermark(raiseAt: memory, clearBelow: memory * 0.95),
            diskFreeBytes: UInt64(alarms.diskFreeBytes)
        )
    }
}
