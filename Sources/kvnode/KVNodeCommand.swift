import ArgumentParser
import Glibc
import KVConfiguration
import KVEnvironment
import KVPosix

/// The program: reads flags and configuration, then runs the node until it is told to stop.
@main
struct KVNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kvnode",
        abstract: "A node of the key-value store.",
        discussion: "Every setting can be set in the file, by a variable (KVNODE_RAFT_HEARTBEAT=100ms) or with --set.",
        version: Version.text
    )

    @Option(name: .long, help: "The configuration file; config/kvnode.yaml names every setting.")
    var config: String
    @Option(name: .long, help: "Where everything is stored, instead of node.data_dir.")
    var dataDir: String?
    @Option(
        name: .long,
        help: ArgumentHelp("Where to serve the Redis protocol, instead of resp.listen.", valueName: "host:port")
    )
    var resp: String?
    @Option(name: .long, help: ArgumentHelp("Where to serve HTTP, instead of http.listen.", valueName: "host:port"))
    var http: String?
    @Option(name: .long, help: ArgumentHelp("Where to serve gRPC, instead of grpc.listen.", valueName: "host:port"))
    var grpc: String?
    @Option(
        name: .long,
        help: ArgumentHelp("Where to listen for other nodes, instead of peer.listen.", valueName: "host:port")
    )
    var peer: String?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Joins the cluster of the member with this peer address, where the data directory is new; see 'kvctl member add'.",
            valueName: "host:port"
        )
    )
    var join: [String] = []
    @Option(name: .long, help: ArgumentHelp("Sets any setting; may be given more than once.", valueName: "path=value"))
    var set: [String] = []
    @Flag(name: .long, help: "Checks the configuration, prints ok and ends.")
    var checkConfig = false
    @Flag(name: .long, help: "Prints every setting with where its value comes from, and ends.")
    var printConfig = false

    @Option(name: .long, help: "Asks the node that runs with this configuration, and ends: livez, readyz, hand-over.")
    var probe: Probe?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --probe: a file with the line name:password, or with a token; hand-over needs an administrator where clients must say who"
                + " they are. Default: auth.bootstrap_file.",
            valueName: "file"
        )
    )
    var probeCredentials: String?

    @Flag(
        name: .long,
        help: "Where a majority is lost for good: shows what this data directory could go on with alone, and ends."
    )
    var recover = false
    @Flag(name: .long, help: "With --recover: makes this node a cluster of its own with what it holds.")
    var acceptDataLoss = false

    /// The exit codes beside 0.
    private enum Exit {
        static let failed: Int32 = 1
        static let configuration: Int32 = 2
    }

    func run() async throws {
        let loaded = try load()
        if printConfig {
            print(ConfigurationWriter.listing(loaded), terminator: "")
            return
        }
        if checkConfig {
            print("ok")
            return
        }
        do {
            if let probe {
                let file = probeCredentials ?? loaded.configuration.authentication.bootstrapFile
                return try probe.run(
                    loaded.configuration.http.listen,
                    overTLS: loaded.configuration.tls.isOnHTTP,
                    authorization: probe == .handOver ? file.flatMap(Probe.authorization) : nil
                )
            }
            if recover {
                return try await Recovery(configuration: loaded.configuration, acceptsDataLoss: acceptDataLoss).run()
            }
            try await runNode(loaded, join: join)
        } catch {
            complain("kvnode: \(error)")
            throw ExitCode(Exit.failed)
        }
    }

    private func load() throws -> LoadedConfiguration {
        let bytes: [UInt8]
        do {
            bytes = try PosixFileSystem().readAll(config)
        } catch {
            complain("\(config):1:1: \(error)")
            throw ExitCode(Exit.configuration)
        }
        let named = [
            ("node.data_dir", dataDir), ("resp.listen", resp), ("http.listen", http), ("grpc.listen", grpc),
            ("peer.listen", peer),
        ]
        let flags = set + named.compactMap { path, value in value.map { "\(path)=\($0)" } }
        let sources = ConfigurationLoader.Sources(
            file: (config, bytes),
            environment: environmentVariables(),
            flags: flags
        )
        do {
            return try ConfigurationLoader.load(sources)
        } catch {
            complain(error.description)
            throw ExitCode(Exit.configuration)
        }
    }

    private func complain(_ text: String) {
        StandardError.write(text + "\n")
    }
}

/// The program's version.
enum Version {
    static let text = "1.0.0"
}
