import Foundation
import KVClusterSimulation
import Testing

/// Seeds that once showed a bug, and what they showed; they are run for ever.
private let keptSeeds: [(seed: UInt64, what: String)] = [
    (4, "a data directory whose opening failed kept its lock"),
    (38, "a log that was cut behind an idle group was taken for a lost one"),
    (50_530, "a leader that was elected again met callers of its own overwritten entries, and trapped"),
]

@Suite("Whole clusters in simulation")
struct SimulationTests {
    /// The first of the new seeds: another range each day, the same for everybody on that day, or what KV_SIMULATION_FROM says.
    private static let firstNew: UInt64 =
        ProcessInfo.processInfo.environment["KV_SIMULATION_FROM"].flatMap { UInt64($0) }
        ?? 1_000_000 + UInt64(Date().timeIntervalSince1970 / 86_400) * 1_000

    private static func run(_ seeds: some Sequence<UInt64>, _ options: SimulationOptions) throws -> SimulationTotals {
        var totals = SimulationTotals()
        for seed in seeds {
            do {
                totals.add(try Simulation.run(seed: seed, options))
            } catch {
                let again = "scripts/simulate --seeds 1 --from \(seed) --nodes \(options.nodes)"
                Issue.record("seed \(seed): \(error)\nrepeat with: \(again)")
                throw error
            }
        }
        return totals
    }

    @Test func `kept seeds run without a violation`() throws {
        _ = try Self.run(keptSeeds.map(\.seed), SimulationOptions())
    }

    @Test func `new seeds with every fault run without a violation, and every fault happens`() throws {
        let totals = try Self.run(Self.firstNew..<(Self.firstNew + 100), SimulationOptions())
        #expect(totals.missing(of: .standard) == [])
        #expect(totals.ok >= 100 * 400)
        #expect(totals.logCuts > 0)
        #expect(totals.snapshots > 0)
    }

    @Test(arguments: [1, 2, 5])
    func `clusters of other sizes hold the same`(nodes: Int) throws {
        var options = SimulationOptions()
        options.nodes = nodes
        _ = try Self.run(Self.firstNew..<(Self.firstNew + 6), options)
    }

    @Test func `a node that lost its data is refused, and no acknowledged write is missing`() throws {
        var options = SimulationOptions()
        options.faults.insert(.wipe)
        let totals = try Self.run(Self.firstNew..<(Self.firstNew + 15), options)
        #expect(totals.wipes > 0)
    }

    @Test func `members come and go, wiped ones too, and leadership is handed over`() throws {
        var options = SimulationOptions()
        options.faults.insert(.membership)
        options.operations = 2_000
        let totals = try Self.run(Self.firstNew..<(Self.firstNew + 12), options)
        #expect(totals.memberChangesDone > 0)
        #expect(totals.transfers > 0)
        #expect(totals.snapshots > 0)
    }

    @Test func `a seed repeats exactly`() throws {
        let one = try Simulation.run(seed: 77)
        let two = try Simulation.run(seed: 77)
        #expect(one.table == two.table)
    }

    @Test(arguments: [PlantedBug.acknowledgeBeforeSync, .appliedAheadOfOwnLog, .wipedVoter])
    func `a planted bug is found`(bug: PlantedBug) throws {
        var options = SimulationOptions()
        bug.plant(in: &options)
        let found = (1...300).contains { seed in (try? Simulation.run(seed: UInt64(seed), options)) == nil }
        #expect(found, "\(bug.rawValue) went unnoticed in 300 seeds")
    }
}
