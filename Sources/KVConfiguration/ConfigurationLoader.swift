import KVBase

/// Turns a file, the environment and flags into a configuration, or into everything that is wrong with them.
///
/// 1. The file becomes nodes (`YAMLReader`); each known path becomes a value, each unknown one a problem.
/// 2. Variables `KVNODE_…` and then flags replace values; a value that a later source replaces is still checked.
/// 3. What nobody set gets its default; what has none and is required is a problem.
/// 4. The whole is checked for contradictions (`NodeConfiguration+Checks`).
package enum ConfigurationLoader {
    /// What there is to load from.
    package struct Sources: Sendable {
        /// The file's name as errors say it, and its bytes; nil where there is none.
        package var file: (name: String, bytes: [UInt8])?
        /// The environment; only names with the prefix are looked at.
        package var environment: [String: String]
        /// Overrides of the command line, each `path=value`; the last of a path counts.
        package var flags: [String]

        /// Sources; what is not named is empty.
        package init(
            file: (name: String, bytes: [UInt8])? = nil,
            environment: [String: String] = [:],
            flags: [String] = []
        ) {
            self.file = file
            self.environment = environment
            self.flags = flags
        }
    }

    /// Loads, overrides, fills in and checks.
    /// - Throws: every problem found.
    package static func load(_ sources: Sources) throws(ConfigurationError) -> LoadedConfiguration {
        var gatherer = SettingGatherer()
        if let file = sources.file {
            var reader = YAMLReader(name: file.name)
            let root = reader.read(file.bytes)
            gatherer.problems += reader.problems
            if let root { gatherer.gather(root, file: file.name) }
        }
        gatherer.gather(environment: sources.environment)
        for flag in sources.flags { gatherer.gather(flag: flag) }
        var loaded = LoadedConfiguration(configuration: NodeConfiguration(), settings: gatherer.found)
        let missing = loaded.fill(fileName: sources.file?.name)
        // A required key whose value was found but wrong has had its problem already.
        gatherer.problems += missing.filter { !gatherer.failedPaths.contains($0.path) }.map(\.problem)
        if gatherer.problems.isEmpty {
            loaded.complete()
            gatherer.problems += loaded.contradictions()
        }
        guard gatherer.problems.isEmpty else { throw ConfigurationError(problems: gatherer.problems) }
        return loaded
    }
}

/// A setting's value and where it came from.
struct FoundSetting: Sendable, Equatable {
    let value: SettingValue
    let origin: Origin
}

/// A configuration together with where each value came from.
package struct LoadedConfiguration: Sendable {
    /// The configuration, complete and free of contradictions.
    package internal(set) var configuration: NodeConfiguration
    /// What was set, by path; after `fill` also the defaults.
    var settings: [String: FoundSetting]

    /// Where the value of a path came from, or nil where the path is unknown or the field stayed empty.
    package func origin(of path: String) -> Origin? { settings[path]?.origin }

    /// Stores every value and default in the configuration; hands back what is required and absent.
    fileprivate mutating func fill(fileName: String?) -> [(path: String, problem: ConfigurationProblem)] {
        var missing: [(path: String, problem: ConfigurationProblem)] = []
        for setting in Schema.all {
            if settings[setting.path] == nil {
                switch setting.fallback {
                case .text(let text):
                    guard case .right(let value) = setting.kind.parse(text) else {
                        preconditionFailure("the default \(text) of \(setting.path) is not \(setting.kind.expectation)")
                    }
                    settings[setting.path] = FoundSetting(value: value, origin: .byDefault)
                case .none:
                    continue
                case .required(let example):
                    let origin =
                        fileName.map { Origin.file($0, SourcePosition(line: 1, column: 1)) }
                        ?? .environment(setting.variable)
                    let message =
                        "missing key \"\(setting.path)\"; expected \(setting.kind.expectation), such as \(example)"
                    missing.append((setting.path, ConfigurationProblem(origin: origin, message: message)))
                    continue
                }
            }
            guard let value = settings[setting.path]?.value else { continue }
            let isStored = setting.store(&configuration, value)
            precondition(isStored, "\(setting.path) cannot hold \(value)")
        }
        return missing
    }

    /// Sets what follows from other values: advertised addresses, and the lone member of a cluster of one.
    fileprivate mutating func complete() {
        if let own = configuration.cluster.nodes.first(where: { $0.id == configuration.node.id }) {
            configuration.peer.advertise = configuration.peer.advertise ?? own.peer
        }
        configuration.resp.advertise = configuration.resp.advertised
        configuration.http.advertise = configuration.http.advertised
        configuration.grpc.advertise = configuration.grpc.advertised
        configuration.peer.advertise = configuration.peer.advertised
        if configuration.cluster.nodes.isEmpty {
            configuration.cluster.nodes = [Member(id: configuration.node.id, peer: configuration.peer.advertised)]
        }
    }
}
