import Foundation
import Testing

/// The scenarios in ../shared/fixtures/raft, or in the folders that KV_RAFT_SCENARIOS names (separated by colons).
@Suite(.enabled(if: !ScenarioFolders.files.isEmpty, "no scenario folder found"))
struct ScenarioTests {
    /// Differences of outcome that are meant, by file and line of the command, with the reason.
    static let meant: [String: String] = [:]

    @Test(arguments: ScenarioFolders.files) func `the outcome of a scenario is the expected one`(_ file: URL) throws {
        for difference in ScenarioRunner.run(try ScenarioFile(file)) {
            let place = "\(difference.file):\(difference.line)"
            if Self.meant[place] == nil { Issue.record("\(difference)") }
        }
    }
}

enum ScenarioFolders {
    static let files: [URL] = folders.flatMap(ScenarioRunner.files)

    private static let folders: [URL] = {
        if let named = ProcessInfo.processInfo.environment["KV_RAFT_SCENARIOS"], !named.isEmpty {
            return named.split(separator: ":").map { URL(fileURLWithPath: String($0)) }
        }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return [root.appendingPathComponent("../shared/fixtures/raft").standardizedFileURL]
    }()
}
