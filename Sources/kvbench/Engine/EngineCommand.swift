import ArgumentParser
import Foundation

/// `kvbench engine`: the storage engine by itself, with the workloads and flags of RocksDB's db_bench.
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Measure the storage engine by itself, with the workloads of RocksDB's db_bench.",
        discussion: "The defaults are the parity flags; docs/operations/benchmarks.md says how to compare."
    )

    @Option(help: "Workloads in order, with commas: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")).")
    var workloads = "fillseq,fillrandom,overwrite,readrandom,readmissing,seekrandom,readseq,readreverse"
    @Option(help: "The tablet's directory; fill workloads empty it first.")
    var db: String
    @Option(help: "How many keys there are, and how many operations each thread does.")
    var num: UInt64 = 1_000_000
    @Option(help: "How many reads each thread does, if not --num.")
    var reads: UInt64?
    @Option(help: "How many writes each thread does, if not --num.")
    var writes: UInt64?
    @Option(help: "Bytes of a key.")
    var keySize = 32
    @Option(help: "Bytes of a value.")
    var valueSize = 256
    @Option(help: "Threads of each workload.")
    var threads = 1
    @Option(help: "Where random draws start; a thread's number is added.")
    var seed: UInt64 = 1
    @Flag(help: "Sync the log after each put.")
    var sync = false
    @Flag(help: "No log: what a crash loses is for somebody else to keep (as in the server).")
    var disableLog = false
    @Flag(help: "Do not empty the directory for fill workloads.")
    var useExisting = false
    @Option(help: "Bytes of the block cache.")
    var cacheSize = 1 << 30
    @Option(help: "Raw bytes of a data block.")
    var blockSize = 4096
    @Option(help: "Bytes of a memtable.")
    var memtableSize = 64 << 20
    @Option(help: "Memtables, the active one and those that wait for their flush.")
    var memtables = 4
    @Option(help: "Bytes of a table.")
    var tableSize: UInt64 = 64 << 20
    @Option(help: "Bytes of the base level.")
    var baseLevelSize: UInt64 = 256 << 20
    @Option(help: "Bytes of a segment of the log; one takes its room ahead of its use.")
    var logSegmentSize: UInt64 = 64 << 20
    @Option(help: "Zstandard's level, or none.")
    var compression = "3"
    @Option(help: "Threads for flush and compaction.")
    var backgroundThreads = 2
    @Flag(help: "One JSON object a workload and line.")
    var json = false

    func validate() throws {
        guard keySize > 0, valueSize >= 0, threads > 0, num > 0, memtables > 1, backgroundThreads > 0,
            memtableSize > 4096, logSegmentSize >= 1 << 16
        else { throw ValidationError("sizes and counts must be positive, --memtables at least 2") }
        guard compression == "none" || Int(compression) != nil else {
            throw ValidationError("--compression is a level or none, not \(compression)")
        }
        _ = try chosen()
    }

    func run() throws {
        let session = EngineSession(settings)
        defer { session.close() }
        do {
            for workload in try chosen() { try show(try session.run(workload), json: json) }
        } catch {
            throw reported(error)
        }
    }

    private func chosen() throws -> [Workload] {
        try workloads.split(separator: ",").map { name in
            guard let workload = Workload(rawValue: String(name)) else {
                throw ValidationError("no workload is named \(name)")
            }
            return workload
        }
    }

    private var settings: EngineSettings {
        EngineSettings(
            directory: db,
            count: num,
            reads: reads ?? num,
            writes: writes ?? num,
            keyBytes: keySize,
            valueBytes: valueSize,
            threads: threads,
            seed: seed,
            synchronizes: sync,
            disablesLog: disableLog,
            cacheBytes: cacheSize,
            blockBytes: blockSize,
            memtableBytes: memtableSize,
            memtablesMax: memtables,
            tableBytes: tableSize,
            baseLevelBytes: baseLevelSize,
            logSegmentBytes: logSegmentSize,
            compressionLevel: Int(compression),
            usesExistingTablet: useExisting,
            backgroundThreads: backgroundThreads,
            fillsCache: true
        )
    }
}
