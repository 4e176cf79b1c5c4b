import ArgumentParser
import Glibc
import KVBase
import KVClusterSimulation
import KVNode
import KVRaft

/// Runs the simulator over many seeds: what `scripts/simulate` calls.
@main
struct KVSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kvsim",
        abstract: "Runs whole clusters in simulation, one run a seed, and checks what must hold."
    )

    @Option(help: "How many seeds to run.")
    var seeds: UInt64 = 100

    @Option(name: .customLong("from"), help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "Nodes in a cluster, 1 to 7.")
    var nodes = 3

    @Option(help: "Client operations in a run, at least.")
    var operations = 500

    @Flag(help: "Also wipe a node's data directory in each run.")
    var wipe = false

    @Flag(help: "Also add, remove and replace members, and hand leadership over.")
    var membership = false

    @Flag(help: "Also let logs stand still for seconds.")
    var stuckDisk = false

    @Option(help: "Plant a bug and expect to find it: \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")).")
    var bug: PlantedBug?

    @Flag(help: "Print what the nodes log, to follow a run that failed.")
    var log = false

    @Flag(help: "Print each seed's result.")
    var verbose = false

    func validate() throws {
        guard (1...7).contains(nodes) else { throw ValidationError("--nodes takes 1 to 7, not \(nodes)") }
        guard operations > 0, seeds > 0 else { throw ValidationError("--operations and --seeds take 1 or more") }
    }

    private var flags: String {
        (wipe ? " --wipe" : "") + (membership ? " --membership" : "") + (stuckDisk ? " --stuck-disk" : "")
    }

    func run() throws {
        var options = SimulationOptions()
        options.nodes = nodes
        options.operations = operations
        options.logsEvents = log
        if wipe { options.faults.insert(.wipe) }
        if membership { options.faults.insert(.membership) }
        if stuckDisk { options.faults.insert(.stuckDisk) }
        bug?.plant(in: &options)
        var totals = SimulationTotals()
        for seed in first..<(first + seeds) {
            do {
                let run = try Simulation.run(seed: seed, options)
                totals.add(run)
                if verbose { print("seed \(seed): ok \(run.ok), unknown \(run.unknown), crashes \(run.crashes)") }
                // What was printed before a crash is on the terminal.
                if verbose { fflush(nil) }
            } catch let violation as SimulationViolation {
                print("seed \(seed): \(violation)")
                if let bug {
                    print(
                        "planted bug '\(bug.rawValue)' found by '\(violation.invariant)' after \(seed - first + 1) seeds"
                    )
                    return
                }
                print(
                    "repeat with: scripts/simulate --seeds 1 --from \(seed) --nodes \(nodes) --operations \(operations)\(flags)"
                )
                throw ExitCode(1)
            }
        }
        print(totals.table)
        if let bug {
            print("planted bug '\(bug.rawValue)' NOT found in \(seeds) seeds")
            throw ExitCode(1)
        }
        let missing = totals.missing(of: options.faults)
        if !missing.isEmpty, seeds >= 20 {
            print("never happened, so nothing was proved about it: \(missing.joined(separator: ", "))")
            throw ExitCode(1)
        }
    }
}

extension PlantedBug: ExpressibleByArgument {}
