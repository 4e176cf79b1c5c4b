import Foundation

/// A program that ran to its end.
struct Command {
    /// How it ended: the exit code, or the signal's number negated.
    let code: Int32
    let output: [UInt8]
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }

    /// Both streams and the code, for a message.
    var everything: String { "exit \(code)\n\(text)\n\(errors)" }

    struct TimedOut: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a program; one that does not end within `seconds` is killed, and that is an error.
    static func run(
        _ program: String,
        _ arguments: [String],
        input: [UInt8] = [],
        environment: [String: String] = [:],
        within seconds: Double = 60
    ) throws -> Command {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        // Files instead of pipes: nothing can block on a full pipe, and a daemon that inherits them holds nothing up.
        let outputFile = folder.file("out")
        let errorFile = folder.file("err")
        let inputFile = folder.file("in")
        try Data(input).write(to: inputFile)
        for file in [outputFile, errorFile] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, given in given }
        process.currentDirectoryURL = Programs.root
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = try FileHandle(forWritingTo: outputFile)
        process.standardError = try FileHandle(forWritingTo: errorFile)
        try process.run()
        let ended = Poll.until(seconds) { !process.isRunning }
        if !ended { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        let command = Command(
            code: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
            output: Array(try Data(contentsOf: outputFile)),
            errors: String(decoding: try Data(contentsOf: errorFile), as: UTF8.self)
        )
        guard ended else {
            throw TimedOut(description: "\(program) \(arguments) ran longer than \(seconds) s\n\(command.everything)")
        }
        return command
    }
}

/// A folder that lives as long as a test.
struct TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "kv-test-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    func file(_ name: String) -> URL { url.appending(path: name) }

    func remove() {
        // What stays behind in the temporary folder harms no later run.
        try? FileManager.default.removeItem(at: url)
    }
}

/// Waits for what another process does.
enum Poll {
    /// Asks again and again; false where `condition` did not hold within `seconds`.
    static func until(_ seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if try condition() { return true }
            guard ContinuousClock.now < deadline else { return false }
            // Between two questions, so as not to take the processor from the one that is waited for.
            usleep(10_000)
        }
    }
}
