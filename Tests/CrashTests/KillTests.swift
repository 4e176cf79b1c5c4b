import Foundation
import Testing

/// SIGKILL while a program writes to a tablet, with an oracle outside of it; `scripts/kill-loop` runs more.
struct KillTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Where this test program was built; the others stand beside it.
    private static let program: String = {
        let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let beside = own.appending(path: "kvcrash").path
        return FileManager.default.isExecutableFile(atPath: beside)
            ? beside : root.appending(path: ".build/debug/kvcrash").path
    }()

    static let canRun = FileManager.default.isExecutableFile(atPath: program)

    private func kill(_ mode: String, rounds: Int) throws -> (code: Int32, output: String) {
        let process = Process()
        process.executableURL = Self.root.appending(path: "scripts/kill-loop")
        process.arguments = ["--program", Self.program, "--mode", mode, "--rounds", "\(rounds)"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    @Test(.enabled(if: canRun), arguments: ["synced", "written", "queued", "external"])
    func `a killed process loses nothing that it acknowledged`(_ mode: String) throws {
        let result = try kill(mode, rounds: 12)
        #expect(result.code == 0, "\(result.output)")
        #expect(result.output.contains("nothing lost"))
    }

    @Test(.enabled(if: canRun)) func `acknowledgements that come too early are noticed`() throws {
        let result = try kill("lying", rounds: 60)
        #expect(result.code == 1, "\(result.output)")
        #expect(result.output.contains("was acknowledged"))
    }
}
