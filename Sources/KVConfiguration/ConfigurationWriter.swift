import KVBase

/// Writes the settings as YAML that loads again.
package enum ConfigurationWriter {
    /// `config/kvnode.yaml`: every key with its meaning, range, variable and default.
    package static var reference: String {
        var text = """
            # Every setting of kvnode, with its default. A flag (--set raft.heartbeat=100ms) overrides the environment
            # (KVNODE_RAFT_HEARTBEAT=100ms), which overrides this file, which overrides the defaults. Sizes are written in B, KiB,
            # MiB, GiB or TiB and durations in ms, s, m or h; the unit is never left out. An unknown key is an error.
            # `kvnode --print-config` shows every value and where it came from. Written by the code; a test compares the two.

            """
        text += lines { setting in
            var comment = wrapped(setting.documentation)
            comment += wrapped("Takes \(setting.kind.expectation); \(setting.variable).")
            switch setting.fallback {
            case .text(let text): return Line(comment: comment, value: text, isSet: true, note: nil)
            case .required(let example):
                return Line(comment: comment + ["Required."], value: example, isSet: true, note: nil)
            case .none(let meaning):
                return Line(
                    comment: comment + ["Default: \(meaning)"],
                    value: example(setting),
                    isSet: false,
                    note: nil
                )
            }
        }
        return text
    }

    /// Every value of a configuration with its origin, as `--print-config` shows it.
    package static func listing(_ loaded: LoadedConfiguration) -> String {
        lines { setting in
            if let found = loaded.settings[setting.path] {
                return Line(comment: [], value: found.value.description, isSet: true, note: found.origin.description)
            }
            guard case .none(let meaning) = setting.fallback else { return nil }
            return Line(comment: [], value: "", isSet: false, note: "default: \(meaning)")
        }
    }

    private struct Line {
        let comment: [String]
        let value: String
        /// Otherwise the line is a comment.
        let isSet: Bool
        let note: String?
    }

    private static let examplePorts = [("resp_cluster", "6410"), ("resp", "6400"), ("http", "8080"), ("grpc", "9080")]
        .map { (prefix: $0.0, port: $0.1) }

    private static func example(_ setting: Setting) -> String {
        switch setting.kind {
        case .address:
            "kv1.example.net:" + (examplePorts.first { setting.path.hasPrefix($0.prefix) }?.port ?? "7400")
        case .members: "1=127.0.0.1:7400"
        case .text where setting.path == "http.cors_origins": "https://app.example.com"
        case .flag, .count, .bytes, .duration, .text, .choice:
            setting.path.hasPrefix("tls.")
                ? "/etc/kv/\(setting.path.dropFirst(4)).pem"
                : setting.path.hasPrefix("auth.") ? "/etc/kv/administrator" : "/fast-disk/log"
        }
    }

    private static func lines(_ line: (Setting) -> Line?) -> String {
        var text = ""
        var open: [Substring] = []
        let written = Schema.all.compactMap { setting in line(setting).map { (setting: setting, line: $0) } }
        for (setting, line) in written {
            let keys = setting.path.split(separator: ".")
            let parents = keys.dropLast()
            let shared = zip(open, parents).prefix { $0 == $1 }.count
            if !line.comment.isEmpty && (shared == 0 || parents.isEmpty) { text += "\n" }
            for depth in shared..<max(shared, parents.count) {
                if depth == 0, !line.comment.isEmpty,
                    let section = Schema.sections.first(where: { $0.name == parents[0] }),
                    !section.documentation.isEmpty
                {
                    text += "# \(section.documentation)\n"
                }
                // A mapping without anything in it would be an error: where nothing is set, its name is a comment too.
                let path = parents[...depth].joined(separator: ".") + "."
                let isSet = written.contains { $0.line.isSet && $0.setting.path.hasPrefix(path) }
                text += indentation(depth) + (isSet ? "" : "# ") + "\(parents[depth]):\n"
            }
            open = Array(parents)
            text += rendered(setting, line, key: keys.last ?? "", indentation(parents.count))
        }
        return text
    }

    private static func rendered(_ setting: Setting, _ line: Line, key: Substring, _ indent: String) -> String {
        var text = line.comment.map { "\(indent)# \($0)\n" }.joined()
        let mark = line.isSet ? "" : "# "
        let note = line.note.map { "  # \($0)" } ?? ""
        if case .members = setting.kind, case .right(.members(let members)) = setting.kind.parse(line.value) {
            text += "\(indent)\(mark)\(key):\(note)\n"
            for member in members {
                text += "\(indent)\(mark)  - {id: \(member.id), peer: \"\(member.peer)\"}\n"
            }
            return text
        }
        let value = line.value.isEmpty ? "" : " " + scalar(line.value, setting.kind)
        return text + "\(indent)\(mark)\(key):\(value)\(note)\n"
    }

    /// Texts and addresses in quotes, everything else as it is.
    private static func scalar(_ value: String, _ kind: SettingKind) -> String {
        switch kind {
        case .flag, .count, .bytes, .duration, .choice: return value
        case .text, .address, .members:
            var escaped = ""
            for scalar in value.unicodeScalars {
                switch scalar {
                case "\"", "\\": escaped += "\\\(scalar)"
                case _ where scalar.value < 32 || (127..<160).contains(scalar.value):
                    escaped += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
                default: escaped.unicodeScalars.append(scalar)
                }
            }
            return "\"\(escaped)\""
        }
    }

    private static func indentation(_ depth: Int) -> String { String(repeating: "  ", count: depth) }

    private static func wrapped(_ text: String) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let last = lines.count - 1
            if lines[last].isEmpty {
                lines[last] = String(word)
            } else if lines[last].count + word.count + 1 <= 108 {
                lines[last] += " \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
