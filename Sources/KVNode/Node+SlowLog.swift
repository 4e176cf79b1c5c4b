import KVBase
import KVReplication
import KVService
import Logging

// The slow-request log: groups note what was slow, the node says it now and then, off the request path.

extension Node {
    /// How many lines one look may write; what is beyond is only counted in the last line.
    private static let linesMax = 4

    /// Logs what became slow since the last look.
    func logSlowRequests() {
        let fresh = host.timings.slow.after(slowLogged)
        guard let newest = fresh.last else { return }
        let all = newest.id - slowLogged
        slowLogged = newest.id
        // Those that took longest say most.
        let told = fresh.sorted { $0.stages.total > $1.stages.total }.prefix(Self.linesMax)
        for (place, request) in told.enumerated() {
            var metadata = request.metadata
            if place == told.count - 1, all > UInt64(told.count) { metadata["more"] = "\(all - UInt64(told.count))" }
            log.notice("slow request", metadata: metadata)
        }
    }
}

extension SlowRequest {
    fileprivate var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "slow": "\(id)", "operation": "\(operation)", "key": "\(keyText)", "group": "\(group)", "shard": "\(shard)",
            "index": "\(index)", "requests": "\(requests)", "total_ms": "\(milliseconds(stages.total))",
        ]
        for (name, nanoseconds) in stages.named { metadata["\(name)_ms"] = "\(milliseconds(nanoseconds))" }
        return metadata
    }

    private func milliseconds(_ nanoseconds: UInt64) -> String {
        let tenths = (nanoseconds + 50_000) / 100_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}
