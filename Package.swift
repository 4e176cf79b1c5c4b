// swift-tools-version: 6.2
import Foundation
import PackageDescription

// The targets as a table: what each one is made of is on one line, and KV_TARGETS=A,B builds only those and what they need
// (a quick way to work on one module: the packages nobody needs then are not even fetched).

struct Package3rd {
    let name: String
    let url: String
    let from: Version
    /// Its optional parts; nil for those that it has by default.
    var traits: Set<Package.Dependency.Trait>?

    var dependency: Package.Dependency {
        if let traits { return .package(url: url, from: from, traits: traits) }
        return .package(url: url, from: from)
    }
}

let packages: [String: Package3rd] = Dictionary(
    uniqueKeysWithValues: [
        Package3rd(name: "swift-argument-parser", url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        Package3rd(name: "swift-collections", url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        Package3rd(name: "swift-log", url: "https://github.com/apple/swift-log", from: "1.16.2"),
        Package3rd(name: "swift-metrics", url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        Package3rd(name: "swift-nio", url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        // Without the parts that need all of Foundation: linked in, its tables alone are 30 MB.
        Package3rd(
            name: "swift-protobuf",
            url: "https://github.com/apple/swift-protobuf",
            from: "1.39.0",
            traits: []
        ),
        Package3rd(
            name: "swift-service-lifecycle",
            url: "https://github.com/swift-server/swift-service-lifecycle",
            from: "2.13.0"
        ),
        Package3rd(name: "async-http-client", url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        Package3rd(
            name: "hummingbird",
            url: "https://github.com/hummingbird-project/hummingbird",
            from: "2.28.1",
            traits: []
        ),
        Package3rd(
            name: "hdrhistogram-swift",
            url: "https://github.com/HdrHistogram/hdrhistogram-swift",
            from: "0.2.0"
        ),
        Package3rd(name: "swift-nio-ssl", url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        Package3rd(name: "swift-nio-http2", url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        Package3rd(name: "grpc-swift-2", url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        Package3rd(
            name: "grpc-swift-nio-transport",
            url: "https://github.com/grpc/grpc-swift-nio-transport",
            from: "2.9.2"
        ),
        Package3rd(name: "grpc-swift-protobuf", url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        Package3rd(name: "TextTable", url: "https://github.com/ordo-one/TextTable", from: "0.0.2"),
    ].map { ($0.name, $0) }
)

enum Kind {
    case system(pkgConfig: String, apt: String)
    case library
    case executable
    case test
}

struct Module {
    let name: String
    let kind: Kind
    let needs: [String]
    let products: [(String, String)]
    let folder: String

    init(
        _ name: String,
        _ kind: Kind = .library,
        _ needs: [String] = [],
        _ products: [(String, String)] = [],
        in folder: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.needs = needs
        self.products = products
        if let folder {
            self.folder = folder
        } else if case .test = kind {
            self.folder = "Tests/\(name)"
        } else {
            self.folder = "Sources/\(name)"
        }
    }
}

let nioCore = [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio")]
let logging = [("Logging", "swift-log")]
let collections = [("DequeModule", "swift-collections")]
let arguments = [("ArgumentParser", "swift-argument-parser")]

// What a build is made for: KV_SANITIZE=thread tells ThreadSanitizer about Swift's Mutex (scripts/sanitize), KV_FUZZ=1
// builds the fuzzer and instruments our modules for it (scripts/fuzz).
let sanitizesThreads = Context.environment["KV_SANITIZE"] == "thread"
let fuzzes = Context.environment["KV_FUZZ"] != nil

let modules: [Module] = [
    Module("CLibZstd", .system(pkgConfig: "libzstd", apt: "libzstd-dev")),
    Module("CLibYAML", .system(pkgConfig: "yaml-0.1", apt: "libyaml-dev")),
    Module("CLibCrypt", .system(pkgConfig: "libxcrypt", apt: "libcrypt-dev")),
    Module("CCRC32C"),
    Module("CMemory"),
    Module("CEpoll"),
    Module("KVBase", .library, ["CCRC32C"] + (sanitizesThreads ? ["CMutexEvents"] : [])),
    Module("KVEnvironment", .library, ["KVBase"]),
    Module("KVPosix", .library, ["KVBase", "KVEnvironment", "KVService", "CLibCrypt", "CMemory"]),
    Module("KVLog", .library, ["KVBase", "KVEnvironment"]),
    Module("KVStorage", .library, ["KVBase", "KVEnvironment", "KVLog", "CLibZstd", "CMemory"], collections),
    Module("KVRaft", .library, ["KVBase"], collections),
    Module("KVSharding", .library, ["KVBase"]),
    Module("KVService", .library, ["KVBase"]),
    Module(
        "KVReplication",
        .library,
        ["KVBase", "KVEnvironment", "KVLog", "KVRaft", "KVStorage", "KVService"],
        collections
    ),
    Module(
        "KVNode",
        .library,
        [
            "KVBase", "KVEnvironment", "KVLog", "KVRaft", "KVStorage", "KVService", "KVReplication", "KVSharding",
            "KVTelemetry",
        ],
        collections + logging
    ),
    Module(
        "KVPeer",
        .library,
        ["KVBase", "KVRaft", "KVReplication"],
        nioCore + logging + [("SwiftProtobuf", "swift-protobuf")]
    ),
    Module(
        "KVTelemetry",
        .library,
        ["KVBase"],
        logging + [("Metrics", "swift-metrics"), ("CoreMetrics", "swift-metrics")]
    ),
    Module(
        "KVTLS",
        .library,
        [],
        nioCore + logging + [("NIOSSL", "swift-nio-ssl"), ("NIOTLS", "swift-nio")]
    ),
    Module("KVRESP", .library, ["KVBase", "KVService", "KVTelemetry"], nioCore + logging),
    Module(
        "KVHTTP",
        .library,
        ["KVBase", "KVService", "KVTelemetry"],
        nioCore + logging + [
            ("Hummingbird", "hummingbird"), ("HummingbirdCore", "hummingbird"),
            ("ServiceLifecycle", "swift-service-lifecycle"), ("NIOHTTP1", "swift-nio"),
        ]
    ),
    Module(
        "KVGRPC",
        .library,
        ["KVBase", "KVService", "KVTelemetry"],
        nioCore + logging + [
            ("GRPCCore", "grpc-swift-2"), ("GRPCNIOTransportHTTP2Posix", "grpc-swift-nio-transport"),
            ("GRPCProtobuf", "grpc-swift-protobuf"), ("SwiftProtobuf", "swift-protobuf"),
            ("NIOHTTP2", "swift-nio-http2"),
            ("NIOHPACK", "swift-nio-http2"),
        ]
    ),
    Module(
        "KVClient",
        .library,
        ["KVBase"],
        nioCore + [("AsyncHTTPClient", "async-http-client"), ("NIOSSL", "swift-nio-ssl")]
    ),
    Module("KVConfiguration", .library, ["KVBase", "CLibYAML"]),
    Module(
        "kvnode",
        .executable,
        [
            "KVBase", "KVEnvironment", "KVPosix", "KVLog", "KVStorage", "KVRaft", "KVSharding", "KVService",
            "KVReplication",
            "KVNode", "KVPeer", "KVTelemetry", "KVTLS", "KVRESP", "KVHTTP", "KVGRPC", "KVConfiguration",
        ],
        arguments + nioCore + logging + [
            ("ServiceLifecycle", "swift-service-lifecycle"), ("UnixSignals", "swift-service-lifecycle"),
        ]
    ),
    Module(
        "kvctl",
        .executable,
        ["KVBase", "KVClient", "KVConfiguration", "KVEnvironment", "KVPosix", "KVInspection", "KVBackup"],
        arguments + [("TextTable", "TextTable")]
    ),

    // What sstdump and walreplay share: verdicts, key formats, tables and JSON lines.
    Module(
        "KVInspection",
        .library,
        ["KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVReplication", "KVService"]
    ),
    // Backups: their folders, checking and restoring them.
    Module(
        "KVBackup",
        .library,
        ["KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVReplication", "KVInspection"]
    ),
    Module(
        "sstdump",
        .executable,
        ["KVPosix", "KVInspection"],
        arguments
    ),
    Module(
        "walreplay",
        .executable,
        ["KVPosix", "KVInspection"],
        arguments
    ),
    Module(
        "kvbench",
        .executable,
        ["CEpoll", "KVBase", "KVEnvironment", "KVPosix", "KVLog", "KVStorage", "KVRaft"],
        arguments + [("Histogram", "hdrhistogram-swift")]
    ),

    // What the tests stand on: the simulated disk, network and clock, and the linearizability checker.
    Module(
        "KVSimulation",
        .library,
        ["KVBase", "KVEnvironment"],
        in: "Tests/KVSimulation"
    ),
    Module("KVLinearizability", .library, [], in: "Tests/KVLinearizability"),
    // A dictionary behind the service's interface, for the tests of the edges.
    Module("KVFakeService", .library, ["KVBase", "KVService"], in: "Tests/KVFakeService"),
    Module(
        "KVClusterSimulation",
        .library,
        [
            "KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVSharding", "KVService", "KVReplication",
            "KVNode",
            "KVSimulation", "KVLinearizability",
        ],
        in: "Tests/KVClusterSimulation"
    ),
    // Clients of real processes whose history is recorded.
    Module("KVHistoryClient", .library, ["KVLinearizability"], in: "Tests/KVHistoryClient"),
    Module(
        "kvchaos",
        .executable,
        ["KVHistoryClient", "KVLinearizability"],
        arguments,
        in: "Tests/kvchaos"
    ),
    // Everything that reads bytes from outside, as functions of one input.
    Module(
        "KVFuzzing",
        .library,
        [
            "KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVSharding", "KVService", "KVReplication",
            "KVPeer", "KVRESP", "KVConfiguration", "KVSimulation",
            "KVHTTP", "KVTelemetry", "KVFakeService",
        ],
        [("NIOCore", "swift-nio"), ("NIOEmbedded", "swift-nio")] + logging,
        in: "Tests/KVFuzzing"
    ),
    // Writes to a real tablet until it is killed, and says what it was told is kept.
    Module("kvcrash", .executable, ["KVBase", "KVEnvironment", "KVPosix", "KVStorage"], in: "Tests/kvcrash"),
    Module("kvsim", .executable, ["KVClusterSimulation", "KVBase"], arguments, in: "Tests/kvsim"),

    Module("KVBaseTests", .test, ["KVBase", "CCRC32C"]),
    Module("KVEnvironmentTests", .test, ["KVBase", "KVEnvironment", "KVSimulation", "KVPosix"]),
    Module("KVLogTests", .test, ["KVBase", "KVEnvironment", "KVLog", "KVSimulation", "KVPosix"]),
    Module("KVStorageTests", .test, ["KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVSimulation", "KVPosix"]),
    Module(
        "KVInspectionTests",
        .test,
        [
            "KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVService", "KVReplication", "KVInspection",
            "KVSimulation", "KVPosix",
        ]
    ),
    Module(
        "KVBackupTests",
        .test,
        [
            "KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVService", "KVReplication", "KVInspection",
            "KVBackup", "KVSimulation",
        ]
    ),
    Module("KVRaftTests", .test, ["KVBase", "KVRaft"]),
    Module("KVShardingTests", .test, ["KVBase", "KVSharding"]),
    Module("KVServiceTests", .test, ["KVBase", "KVService"]),
    Module(
        "KVReplicationTests",
        .test,
        ["KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVService", "KVReplication", "KVSimulation"]
    ),
    Module(
        "KVNodeTests",
        .test,
        [
            "KVBase", "KVEnvironment", "KVLog", "KVStorage", "KVRaft", "KVService", "KVReplication", "KVNode",
            "KVSharding",
            "KVSimulation",
        ]
    ),
    Module(
        "KVPeerTests",
        .test,
        ["KVBase", "KVRaft", "KVReplication", "KVPeer"],
        nioCore + [("NIOEmbedded", "swift-nio")]
    ),
    Module(
        "KVTLSTests",
        .test,
        ["KVTLS", "KVPeer", "KVRESP", "KVService", "KVTelemetry", "KVFakeService", "KVBase"],
        nioCore + logging + [("NIOSSL", "swift-nio-ssl")]
    ),
    Module("KVTelemetryTests", .test, ["KVBase", "KVTelemetry"], logging + [("Metrics", "swift-metrics")]),
    Module(
        "KVRESPTests",
        .test,
        ["KVBase", "KVService", "KVRESP", "KVTelemetry", "KVFakeService"],
        nioCore + [("NIOEmbedded", "swift-nio")]
    ),
    Module(
        "KVHTTPTests",
        .test,
        ["KVBase", "KVService", "KVHTTP", "KVTelemetry", "KVFakeService"],
        nioCore + [
            ("NIOEmbedded", "swift-nio"), ("Hummingbird", "hummingbird"), ("HummingbirdTesting", "hummingbird"),
        ]
    ),
    Module(
        "KVGRPCTests",
        .test,
        ["KVBase", "KVService", "KVGRPC", "KVTelemetry", "KVFakeService"],
        nioCore + logging + [
            ("GRPCCore", "grpc-swift-2"), ("GRPCNIOTransportHTTP2Posix", "grpc-swift-nio-transport"),
            ("GRPCProtobuf", "grpc-swift-protobuf"), ("SwiftProtobuf", "swift-protobuf"),
            ("NIOEmbedded", "swift-nio"),
        ]
    ),
    Module("KVClientTests", .test, ["KVBase", "KVClient"], nioCore),
    Module("KVConfigurationTests", .test, ["KVBase", "KVConfiguration"]),
    Module("KVCtlTests", .test, ["kvctl"], []),
    Module("KVBenchTests", .test, ["kvbench"], [("Histogram", "hdrhistogram-swift")]),
    Module("KVLinearizabilityTests", .test, ["KVLinearizability"]),
    Module("FuzzTests", .test, ["KVFuzzing"]),
    Module("CrashTests", .test),
    Module("LayeringTests", .test),
    Module("SimulationTests", .test, ["KVClusterSimulation", "KVBase"]),
    Module(
        "EndToEndTests",
        .test,
        ["KVLinearizability", "KVHistoryClient", "KVPeer", "KVClient"],
        [("NIOCore", "swift-nio")]
    ),
]

let instruments: [Module] = [
    Module("CMutexEvents", in: "Sanitize/CMutexEvents"),
    Module("CFuzzer", in: "Fuzz/CFuzzer"),
    Module("kvfuzz", .executable, ["CFuzzer", "KVFuzzing"], in: "Fuzz/kvfuzz"),
].filter { $0.name == "CMutexEvents" ? sanitizesThreads : fuzzes }

let fuzzSettings: [SwiftSetting] = fuzzes ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : []

let settings: [SwiftSetting] =
    fuzzSettings + [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        // docs/decisions/0009-release-builds-check-no-exclusivity.md
        .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    ]

let byName = Dictionary(uniqueKeysWithValues: (modules + instruments).map { ($0.name, $0) })

func exists(_ module: Module) -> Bool {
    FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + module.folder)
}

func closure(of roots: [String]) -> Set<String> {
    var found: Set<String> = []
    var open = roots
    while let name = open.popLast() {
        guard let module = byName[name], found.insert(name).inserted else { continue }
        open += module.needs
    }
    return found
}

let wanted: Set<String> =
    if fuzzes {
        closure(of: ["kvfuzz"])
    } else if let names = Context.environment["KV_TARGETS"] {
        closure(of: names.split(separator: ",").map(String.init))
    } else {
        Set((modules + instruments).map(\.name))
    }

let chosen = (modules + instruments).filter { wanted.contains($0.name) && exists($0) }
let chosenNames = Set(chosen.map(\.name))

let targets: [Target] = chosen.map { module in
    let needs: [Target.Dependency] =
        module.needs.filter(chosenNames.contains).map { .target(name: $0) }
        + module.products.map { .product(name: $0.0, package: $0.1) }
    switch module.kind {
    case .system(let pkgConfig, let apt):
        return .systemLibrary(name: module.name, path: module.folder, pkgConfig: pkgConfig, providers: [.apt([apt])])
    case .library where module.name.hasPrefix("C"):
        return .target(name: module.name, path: module.folder)
    case .library:
        return .target(name: module.name, dependencies: needs, path: module.folder, swiftSettings: settings)
    case .executable:
        return .executableTarget(name: module.name, dependencies: needs, path: module.folder, swiftSettings: settings)
    case .test:
        return .testTarget(name: module.name, dependencies: needs, path: module.folder, swiftSettings: settings)
    }
}

let package = Package(
    name: "kv",
    // What others build on; the programs are products of their own accord.
    products: chosenNames.contains("KVClient") ? [.library(name: "KVClient", targets: ["KVClient"])] : [],
    dependencies: Set(chosen.flatMap { $0.products.map(\.1) }).sorted().compactMap { packages[$0]?.dependency },
    targets: targets,
    swiftLanguageModes: [.v6]
)
