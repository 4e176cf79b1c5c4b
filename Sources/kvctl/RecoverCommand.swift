import ArgumentParser
import Foundation

/// `kvctl recover`: where a majority is lost for good, one data directory becomes a cluster of its own. docs/operations/members.md
struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Offline: go on from one node's data where a majority of the cluster is lost for good.",
        discussion: """
            Without --accept-data-loss it shows what the directory holds and changes nothing: run it on every host that is left, and take \
            the one with the highest term, then the highest end of the log. With it the node becomes the only member of a new cluster. \
            What others confirmed beyond its log is lost; what stands in it unconfirmed becomes valid. The node must be stopped; this runs \
            'kvnode --recover' with its configuration.
            """
    )

    @Option(name: .long, help: "The configuration file of the node.") var config: String
    @Option(name: .long, help: "Its data, instead of node.data_dir.") var dataDir: String?
    @Flag(name: .long, help: "Make it a cluster of its own with what it holds.") var acceptDataLoss = false
    @Option(name: .long, help: "The program kvnode. Default: beside this one.") var kvnode: String?

    func run() throws {
        let process = Process()
        process.executableURL = URL(filePath: kvnode ?? Self.beside)
        process.arguments =
            ["--config", config, "--recover"] + (dataDir.map { ["--data-dir", $0] } ?? [])
            + (acceptDataLoss ? ["--accept-data-loss"] : [])
        do { try process.run() } catch {
            write(
                "kvctl: \(process.executableURL?.path ?? "kvnode") cannot be started (\(error.localizedDescription)); name it with --kvnode\n",
                to: .standardError
            )
            throw ExitCode(CtlExit.error.rawValue)
        }
        process.waitUntilExit()
        let code = process.terminationReason == .exit ? process.terminationStatus : CtlExit.error.rawValue
        if code != 0 { throw ExitCode(code) }
    }

    /// Where kvnode stands if both were installed or built together.
    private static var beside: String {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "kvnode").path
    }
}
