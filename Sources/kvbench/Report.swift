import ArgumentParser
import Foundation

/// What a benchmark came to, for a person and for programs.
protocol BenchmarkReport: Encodable {
    var text: String { get }
}

/// Prints a report, as text or as one line of JSON.
func show(_ report: some BenchmarkReport, json: Bool) throws {
    var line = Data(report.text.utf8)
    if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        line = try encoder.encode(report)
    }
    FileHandle.standardOutput.write(line + Data("\n".utf8))
}

/// Says what went wrong; the exit code to throw.
func reported(_ error: any Error) -> ExitCode {
    FileHandle.standardError.write(Data("kvbench: \(error)\n".utf8))
    return ExitCode.failure
}
