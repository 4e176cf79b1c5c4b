// What a running process says of its settings, and changes of those that can change.

/// One setting as a running process shows it.
package struct ShownSetting: Sendable, Equatable {
    /// The keys from the root, joined by dots.
    package let path: String
    /// As a flag would say it; nil where nobody set it and there is no default.
    package let value: String?
    /// Where it comes from.
    package let origin: String
    /// Whether it can change while the process runs.
    package let isLive: Bool
}

extension LoadedConfiguration {
    /// The settings that a running process takes changes of.
    package static let livePaths: Set<String> = [
        "logging.level", "limits.connections", "alarms.disk_free", "alarms.memory_percent",
        "alarms.descriptors_percent",
    ]

    /// Every setting in the order of the reference file.
    ///
    /// None of them is a secret: passwords and keys are named by their files.
    package var shown: [ShownSetting] {
        Schema.all.map { setting in
            ShownSetting(
                path: setting.path,
                value: settings[setting.path]?.value.description,
                origin: settings[setting.path]?.origin.description ?? Origin.byDefault.description,
                isLive: Self.livePaths.contains(setting.path)
            )
        }
    }

    /// Why a change of a running process's setting is refused.
    package enum ChangeError: Error, Sendable, Equatable {
        /// There is no such setting; one of a similar name, where there is one.
        case unknown(nearest: String?)
        /// It is read at the start only.
        case isFixed
        /// It does not take that value, alone or beside the others.
        case wrong(String)
    }

    /// The configuration with one setting changed.
    /// - Throws: why it cannot be.
    package func changing(_ path: String, to text: String) throws(ChangeError) -> LoadedConfiguration {
        guard let setting = Schema.byPath[path] else {
            throw .unknown(nearest: nearestName(to: path, among: Schema.all.map(\.path)))
        }
        guard Self.livePaths.contains(path) else { throw .isFixed }
        switch setting.kind.parse(text) {
        case .wrong(let what, let nearest):
            throw .wrong("\(path): \(what)" + (nearest.map { "; nearest: \($0)" } ?? ""))
        case .right(let value):
            var changed = self
            changed.settings[path] = FoundSetting(value: value, origin: .live)
            let isStored = setting.store(&changed.configuration, value)
            precondition(isStored, "\(path) cannot hold \(value)")
            let problems = changed.contradictions()
            guard problems.isEmpty else { throw .wrong(problems.map(\.message).joined(separator: "; ")) }
            return changed
        }
    }
}
