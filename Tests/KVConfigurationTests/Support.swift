import Foundation
import KVConfiguration

let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The bytes of a file of the package.
func packageFile(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: packageRoot.appending(path: path)))
}

/// What loads, or every problem as a line.
func load(
    _ text: String,
    environment: [String: String] = [:],
    flags: [String] = []
) -> Result<LoadedConfiguration, ConfigurationError> {
    load(bytes: Array(text.utf8), environment: environment, flags: flags)
}

func load(
    bytes: [UInt8],
    environment: [String: String] = [:],
    flags: [String] = []
) -> Result<LoadedConfiguration, ConfigurationError> {
    Result { () throws(ConfigurationError) in
        try ConfigurationLoader.load(.init(file: ("f.yaml", bytes), environment: environment, flags: flags))
    }
}

/// The problems, one a line; none where it loads.
func problems(_ text: String, environment: [String: String] = [:], flags: [String] = []) -> [String] {
    problems(load(text, environment: environment, flags: flags))
}

func problems(_ result: Result<LoadedConfiguration, ConfigurationError>) -> [String] {
    guard case .failure(let error) = result else { return [] }
    return error.problems.map(\.description)
}

/// The least that loads.
let least = "node: {id: 1, data_dir: data}\n"
