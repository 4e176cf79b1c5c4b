/// What each module may import: the table of docs/architecture.md as data.
///
/// A change here is a change of the architecture.
struct Layer {
    /// Modules of this project.
    let ours: Set<String>
    /// Modules of packages, of the system and of the toolchain.
    let foreign: Set<String>

    /// A layer that may import these modules.
    init(_ ours: Set<String> = [], foreign: Set<String> = []) {
        self.ours = ours
        self.foreign = foreign
    }

    /// Every folder of Sources by name.
    ///
    /// `Synchronization` (the toolchain's locks and atomics) is allowed everywhere.
    static let table: [String: Layer] = [
        "CLibZstd": Layer(),
        "CLibYAML": Layer(),
        "CLibCrypt": Layer(),
        "CCRC32C": Layer(),
        "CMemory": Layer(),
        "CEpoll": Layer(),
        "KVBase": Layer(["CCRC32C"]),
        "KVEnvironment": Layer(["KVBase"]),
        "KVPosix": Layer(["KVBase", "KVEnvironment", "KVService", "CLibCrypt", "CMemory"], foreign: ["Glibc"]),
        "KVLog": Layer(["KVBase", "KVEnvironment"]),
        // Glibc: the mutex and condition of the commit queue.
        "KVStorage": Layer(
            ["KVBase", "KVEnvironment", "KVLog", "CLibZstd", "CMemory"],
            foreign: collections.union(["Glibc"])
        ),
        "KVRaft": Layer(["KVBase"], foreign: collections),
        "KVSharding": Layer(["KVBase"]),
        "KVService": Layer(["KVBase"]),
        "KVReplication": Layer(
            ["KVBase", "KVEnvironment", "KVLog", "KVRaft", "KVStorage", "KVService"],
            foreign: collections
        ),
        "KVNode": Layer(
            [
                "KVBase", "KVEnvironment", "KVLog", "KVRaft", "KVStorage", "KVService", "KVReplication", "KVSharding",
                "KVTelemetry",
            ],
            foreign: collections.union(["Logging"])
        ),
        "KVPeer": Layer(["KVBase", "KVRaft", "KVReplication"], foreign: nio.union(["Logging", "SwiftProtobuf"])),
        // Glibc: the files of certificates are read whole.
        "KVTLS": Layer(foreign: nio.union(["NIOSSL", "NIOTLS", "Logging", "Glibc"])),
        "KVTelemetry": Layer(["KVBase"], foreign: ["Logging", "Metrics", "CoreMetrics"]),
        "KVRESP": Layer(["KVBase", "KVService", "KVTelemetry"], foreign: nio.union(["Logging"])),
        "KVHTTP": Layer(
            ["KVBase", "KVService", "KVTelemetry"],
            foreign: nio.union(["NIOHTTP1", "NIOHTTPTypes", "Logging", "ServiceLifecycle", "Foundation"]).union(
                hummingbird
            )
        ),
        // FoundationEssentials: the bytes of messages.
        "KVGRPC": Layer(
            ["KVBase", "KVService", "KVTelemetry"],
            foreign: nio.union(["NIOHTTP2", "NIOHPACK", "Logging", "SwiftProtobuf", "FoundationEssentials"]).union(grpc)
        ),
        // Glibc: `rename`, by which an import's journal is replaced whole. Dispatch: the queue that writes its outputs.
        "KVClient": Layer(
            ["KVBase"],
            foreign: nio.union(["AsyncHTTPClient", "NIOSSL", "Foundation", "Glibc", "Dispatch"])
        ),
        "KVConfiguration": Layer(["KVBase", "CLibYAML"], foreign: ["Foundation"]),
        "kvnode": Layer(
            [
                "KVBase", "KVEnvironment", "KVPosix", "KVLog", "KVStorage", "KVRaft", "KVSharding", "KVService",
                "KVReplication", "KVNode", "KVPeer", "KVTelemetry", "KVTLS", "KVRESP", "KVHTTP", "KVGRPC",
                "KVConfiguration",
            ],
            // Glibc: what a process asks of its system, such as limits, signals and the end.
            foreign: nio.union(["ArgumentParser", "Logging", "ServiceLifecycle", "UnixSignals", "Foundation", "Glibc"])
        ),
        "kvctl": Layer(
            ["KVBase", "KVClient", "KVConfiguration", "KVEnvironment", "KVPosix", "KVInspection", "KVBackup"],
            // Glibc and Dispatch: whether the output is a terminal, and Ctrl-C during a transfer.
            foreign: ["ArgumentParser", "TextTable", "Foundation", "Glibc", "Dispatch"]
        ),
        "kvbench": Layer(
            ["CEpoll", "KVBase", "KVEnvironment", "KVPosix", "KVLog", "KVStorage", "KVRaft"],
            // Glibc: the load generator's sockets.
            foreign: ["ArgumentParser", "Histogram", "Foundation", "Dispatch", "Glibc"]
        ),
        // docs/decisions/0013-the-tools-read-what-the-node-writes.md
        "KVInspection": Layer(
            ["KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVReplication", "KVService"]
        ),
        // Foundation: the manifest is JSON.
        "KVBackup": Layer(
            ["KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVReplication", "KVInspection"],
            foreign: ["Foundation"]
        ),
        // Glibc: standard output and the exit code.
        "sstdump": Layer(["KVPosix", "KVInspection"], foreign: ["ArgumentParser", "Glibc"]),
        "walreplay": Layer(["KVPosix", "KVInspection"], foreign: ["ArgumentParser", "Glibc"]),
    ]

    /// Imported by any module.
    static let everywhere: Set<String> = ["Synchronization", "Swift"]

    private static let collections: Set<String> = ["DequeModule", "OrderedCollections", "HeapModule"]
    private static let grpc: Set<String> = ["GRPCCore", "GRPCNIOTransportHTTP2Posix", "GRPCProtobuf"]
    private static let hummingbird: Set<String> = ["Hummingbird", "HummingbirdCore", "HTTPTypes"]
    private static let nio: Set<String> = ["NIOCore", "NIOPosix", "NIOConcurrencyHelpers"]
}
