import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVSimulation
import Testing

/// Crashes at every operation of a node's log: what was acknowledged is never lost.
struct NodeLogSweepTests {
    /// Three groups, overwritten suffixes, cuts, dropped segments; returns nothing: the node remembers what was acknowledged.
    private func work(_ node: LogNode) throws(LogError) {
        try node.start()
        var last: [UInt32: LogIndex] = [:]
        for group: UInt32 in 0...2 { last[group] = node.log?.lastIndex(GroupID(group)) ?? 0 }
        for round: UInt64 in 1...10 {
            for group: UInt32 in 0...2 {
                let from = last[group, default: 0] + 1
                // Now and then a new leader replaces the last two entries.
                let isOverwrite = (round + UInt64(group)) % 4 == 0 && from > (cut(node, group) + 3)
                let first = isOverwrite ? from - 2 : from
                node.append(
                    group,
                    first...(first + round % 3),
                    term: node.world.now / 1_000_000_000 + round,
                    size: 90,
                    state: HardState(term: round, vote: ReplicaID(round), commit: 0)
                )
                last[group] = first + round % 3
            }
            node.world.run(until: node.world.now + 1_000_000_000)
            for group: UInt32 in 0...2 where round % 3 == 0 {
                let through = (last[group] ?? 0) > 4 ? (last[group] ?? 0) - 4 : 0
                let term = node.log?.term(GroupID(group), at: through)
                guard let term, through > cut(node, group), node.seen.failures.isEmpty else { continue }
                let point = LogCut(index: through, term: term)
                // The manifest is written first; here it is memory that survives.
                node.cuts[GroupID(group)] = point
                node.onHome { $0.cut(GroupID(group), to: point) }
            }
            node.world.run(until: node.world.now + 1_000_000_000)
            if !node.seen.failures.isEmpty { return }
        }
    }

    private func cut(_ node: LogNode, _ group: UInt32) -> LogIndex { node.cuts[GroupID(group)]?.index ?? 0 }

    private func check(_ node: LogNode, _ context: String) throws {
        for (group, acknowledged) in node.seen.acknowledged {
            let first = node.log?.firstIndex(group) ?? 0
            #expect(first <= (node.cuts[group]?.index ?? 0) + 1, "\(context): group \(group) begins at \(first)")
            let entries = try node.entries(group.rawValue)
            let found = Dictionary(uniqueKeysWithValues: entries.map { ($0.index, $0) })
            for (index, entry) in acknowledged where index >= first {
                // A newer, unacknowledged write of a later term may have replaced it.
                let isThere = found[index] == entry
                let isReplaced = (found[index]?.term ?? 0) > entry.term || (entries.last?.term ?? 0) > entry.term
                #expect(isThere || isReplaced, "\(context): entry \(index) of group \(group) is gone")
            }
            let state = node.recovered?.groups[group]?.hardState.term ?? 0
            #expect(state >= node.seen.states[group]?.term ?? 0, "\(context): a term of group \(group) is gone")
        }
    }

    private func operationCount() throws -> Int {
        let node = LogNode(seed: 0)
        node.options.segmentBytes = 2048
        try work(node)
        #expect((node.log?.segmentsDropped ?? 0) > 1)
        #expect(node.seen.failures.isEmpty)
        return node.disk.operationCount
    }

    @Test(arguments: CrashSurvival.allCases)
    func `acknowledged entries and votes survive a crash at every operation`(survival: CrashSurvival) throws {
        let count = try operationCount()
        #expect(count > 80)
        for operation in 1...count {
            let node = LogNode(seed: UInt64(operation))
            node.options.segmentBytes = 2048
            node.disk.faults.crashAt = operation
            do { try work(node) } catch {}
            node.kill(survival)
            let context = "crash at \(operation), \(survival)"
            #expect(throws: Never.self, "\(context)") { try node.start() }
            try check(node, context)
            // And once more, in the middle of the recovery.
            node.kill(nil)
            node.disk.resetCounters()
            node.disk.faults.crashAt = 1 + operation % 11
            do { try node.start() } catch {}
            node.kill(survival)
            #expect(throws: Never.self, "\(context)") { try node.start() }
            try check(node, context + ", again")
        }
    }

    @Test func `acknowledged entries survive an error at every operation`() throws {
        let count = try operationCount()
        for operation in 1...count {
            for reason in [FileError.Reason.inputOutput, .noSpace] {
                let node = LogNode(seed: UInt64(operation))
                node.options.segmentBytes = 2048
                node.disk.faults.failAt = operation
                node.disk.faults.reason = reason
                do { try work(node) } catch {}
                node.kill(.loseAll)
                let context = "\(reason) at \(operation)"
                #expect(throws: Never.self, "\(context)") { try node.start() }
                try check(node, context)
            }
        }
    }

    @Test func `the planted bug, acknowledging before the sync, is seen by a crash sweep`() throws {
        var lost = 0
        for operation in 1...120 {
            let node = LogNode(seed: UInt64(operation))
            node.options.segmentBytes = 2048
            node.options.acknowledgeBeforeSync = true
            node.disk.faults.crashAt = operation
            do { try work(node) } catch {}
            node.kill(.loseAll)
            try node.start()
            for (group, acknowledged) in node.seen.acknowledged {
                let last = node.log?.lastIndex(group) ?? 0
                if acknowledged.keys.contains(where: { $0 > last }) { lost += 1 }
            }
        }
        #expect(lost > 0)
    }
}
