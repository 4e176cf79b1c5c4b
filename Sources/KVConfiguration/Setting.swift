import KVBase

/// One key of the configuration: everything that is known about it, once.
///
/// Parsing, variables, flags, `--print-config` and the reference file all come from here.
struct Setting: Sendable {
    /// What happens where nobody sets it.
    enum Fallback: Sendable, Equatable {
        /// This text is taken.
        case text(String)
        /// The field stays empty; the sentence says what that means.
        case none(String)
        /// It must be set; the reference file shows this text.
        case required(example: String)
    }

    /// The keys from the root, joined by dots.
    let path: String
    let kind: SettingKind
    let fallback: Fallback
    /// One or more sentences.
    let documentation: String
    /// Stores a value of the right case; false where the case is wrong, which would be a mistake in the table.
    let store: @Sendable (inout NodeConfiguration, SettingValue) -> Bool

    /// The variable that overrides it.
    var variable: String { Schema.variablePrefix + path.uppercased().split(separator: ".").joined(separator: "_") }
}

/// A settable field of the configuration.
typealias Field<Value> = WritableKeyPath<NodeConfiguration, Value> & Sendable

extension Setting {
    static func flag(_ path: String, _ field: any Field<Bool>, _ fallback: String, _ documentation: String) -> Setting {
        Setting(path: path, kind: .flag, fallback: .text(fallback), documentation: documentation) {
            guard case .flag(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func count(
        _ path: String,
        _ field: any Field<Int>,
        _ fallback: String,
        _ range: ClosedRange<Int>,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .count(range), fallback: .text(fallback), documentation: documentation) {
            guard case .count(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func bytes(
        _ path: String,
        _ field: any Field<Int>,
        _ fallback: String,
        _ range: ClosedRange<Int>,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .bytes(range), fallback: .text(fallback), documentation: documentation) {
            guard case .bytes(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func duration(
        _ path: String,
        _ field: any Field<Duration>,
        _ fallback: String,
        _ range: ClosedRange<Duration>,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .duration(range), fallback: .text(fallback), documentation: documentation) {
            guard case .duration(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func text(
        _ path: String,
        _ field: any Field<String>,
        _ fallback: Fallback,
        bytesMax: Int,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .text(bytesMax: bytesMax), fallback: fallback, documentation: documentation) {
            guard case .text(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func optionalText(
        _ path: String,
        _ field: any Field<String?>,
        _ fallback: Fallback,
        bytesMax: Int,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .text(bytesMax: bytesMax), fallback: fallback, documentation: documentation) {
            guard case .text(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func choice<Choice: RawRepresentable & CaseIterable & Sendable>(
        _ path: String,
        _ field: any Field<Choice>,
        _ fallback: Choice,
        _ documentation: String
    ) -> Setting where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue)
        return Setting(
            path: path,
            kind: .choice(names),
            fallback: .text(fallback.rawValue),
            documentation: documentation
        ) {
            guard case .text(let name) = $1, let value = Choice(rawValue: name) else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func address(
        _ path: String,
        _ field: any Field<HostPort>,
        _ fallback: String,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .address, fallback: .text(fallback), documentation: documentation) {
            guard case .address(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func optionalAddress(
        _ path: String,
        _ field: any Field<HostPort?>,
        _ fallback: String,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .address, fallback: .none(fallback), documentation: documentation) {
            guard case .address(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }

    static func nodeID(_ path: String, _ field: any Field<NodeID>, example: String, _ documentation: String) -> Setting
    {
        Setting(
            path: path,
            kind: .count(1...Int.max),
            fallback: .required(example: example),
            documentation: documentation
        ) {
            guard case .count(let value) = $1, value >= 1 else { return false }
            $0[keyPath: field] = NodeID(UInt64(value))
            return true
        }
    }

    static func members(
        _ path: String,
        _ field: any Field<[Member]>,
        _ fallback: String,
        _ documentation: String
    ) -> Setting {
        Setting(path: path, kind: .members, fallback: .none(fallback), documentation: documentation) {
            guard case .members(let value) = $1 else { return false }
            $0[keyPath: field] = value
            return true
        }
    }
}
