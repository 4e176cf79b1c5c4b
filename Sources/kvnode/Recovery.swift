import KVBase
import KVConfiguration
import KVNode
import KVPosix
import Logging
import NIOCore
import NIOPosix

/// `kvnode --recover`: offline, where a majority of a cluster is lost for good.
struct Recovery {
    let configuration: NodeConfiguration
    let acceptsDataLoss: Bool

    /// Shows what the data directory holds, and where data loss is accepted makes the node a cluster of its own.
    /// - Throws: what keeps it from that, in a line for a person.
    func run() async throws {
        HostProcess.prepare()
        let machine = Machine(
            configuration,
            home: MultiThreadedEventLoopGroup.singleton.next(),
            clock: PosixClock()
        )
        let log = Logger(label: "kvnode") { _ in SwiftLogNoOpLogHandler() }
        let settings = configuration.nodeSettings
        guard try Node.isFormed(settings, machine.environment.fileSystem) else {
            throw NodeError("\(settings.dataDirectory) holds no member of a cluster: there is nothing to recover")
        }
        guard acceptsDataLoss else {
            let report = try Node.inspectForRecovery(settings, environment: machine.environment, log: log)
            return show(report)
        }
        let random = machine.environment.randomness
        let cluster = ClusterID(high: random.next() | 1, low: random.next())
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            do {
                try Node.recover(settings, as: cluster, environment: machine.environment, log: log) { error in
                    if let error { done.resume(throwing: error) } else { done.resume() }
                }
            } catch {
                done.resume(throwing: error)
            }
        }
        print("node \(settings.node) is cluster \(cluster) of its own now: start it as usual, without --recover.")
        print("Then 'kvctl member remove' the others, and add hosts with empty data directories and --join.")
    }

    private func show(_ report: RecoveryReport) {
        print("cluster \(report.cluster)")
        for group in report.groups {
            let voters = group.voters.map(\.description).joined(separator: ", ")
            print(
                "group \(group.id): log ends at \(group.lastIndex) of term \(group.lastTerm), a majority is known to have held"
                    + " \(group.commit); voters are on nodes \(voters)"
            )
            if let fault = group.fault {
                print("group \(group.id): not to be believed, \(fault); recover from another node")
            }
        }
        print(
            """
            Compare all directories that are left, and take the one with the highest term, then the highest end. What others \
            confirmed beyond that is lost; what stands above the known majority may never have been confirmed and becomes so.
            Copy the directory first. Then give the same command with --accept-data-loss. Never start the others' directories again: \
            they are of the old cluster and are refused.
            """
        )
    }
}
