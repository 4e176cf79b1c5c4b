import KVBase

/// Collects the values of settings from the sources, each replacing what came before, and every problem on the way.
struct SettingGatherer {
    private(set) var found: [String: FoundSetting] = [:]
    /// Paths that a source set to something wrong.
    private(set) var failedPaths: Set<String> = []
    var problems: [ConfigurationProblem] = []

    private mutating func report(_ origin: Origin, _ what: String, nearest: String? = nil) {
        let hint = nearest.map { "; nearest: \($0)" } ?? ""
        problems.append(ConfigurationProblem(origin: origin, message: what + hint))
    }

    private mutating func take(_ setting: Setting, _ text: String, _ origin: Origin) {
        switch setting.kind.parse(text) {
        case .right(let value):
            found[setting.path] = FoundSetting(value: value, origin: origin)
        case .wrong(let what, let nearest):
            failedPaths.insert(setting.path)
            report(origin, "\(setting.path): \(what)", nearest: nearest)
        }
    }

    // MARK: The file

    /// Takes every setting of a document.
    mutating func gather(_ root: YAMLNode, file: String) {
        guard case .mapping = root.content else {
            report(.file(file, root.position), "the file holds \(root.kindName); expected a mapping of settings")
            return
        }
        walk(root, path: "", file: file)
    }

    private mutating func walk(_ node: YAMLNode, path: String, file: String) {
        guard case .mapping(let pairs) = node.content else {
            let names = Self.names(under: path)
            report(
                .file(file, node.position),
                "\(path): found \(node.kindName); expected a mapping with \(names.joined(separator: ", "))"
            )
            return
        }
        for pair in pairs {
            let full = path.isEmpty ? pair.key : "\(path).\(pair.key)"
            if let setting = Schema.byPath[full] {
                take(setting, pair.value, file: file)
            } else if !pair.key.utf8.contains(UInt8(ascii: ".")), !Self.names(under: full).isEmpty {
                walk(pair.value, path: full, file: file)
            } else {
                reportUnknown(pair, full, under: path, file: file)
            }
        }
    }

    private mutating func reportUnknown(_ pair: YAMLNode.Pair, _ full: String, under path: String, file: String) {
        let names = Self.names(under: path)
        // The right name in the wrong section is nearer than a similar name in this one.
        let moved = Schema.all.map(\.path).filter { $0.split(separator: ".").last.map(String.init) == pair.key }
        let nearest =
            (moved.count == 1 ? moved.first : nil) ?? nearestName(to: pair.key, among: names)
            ?? nearestName(to: full, among: Schema.all.map(\.path))
        report(
            .file(file, pair.position),
            "unknown key \(quoted(full)); expected one of \(names.joined(separator: ", "))",
            nearest: nearest
        )
    }

    /// The keys that may stand under a path, in order; empty where it is a setting or unknown.
    private static func names(under path: String) -> [String] {
        let prefix = path.isEmpty ? "" : path + "."
        var names: [String] = []
        for setting in Schema.all where setting.path.hasPrefix(prefix) {
            let name = setting.path.dropFirst(prefix.count).prefix { $0 != "." }
            if names.last != String(name) { names.append(String(name)) }
        }
        return names
    }

    private mutating func take(_ setting: Setting, _ node: YAMLNode, file: String) {
        let origin = Origin.file(file, node.position)
        if case .members = setting.kind {
            takeMembers(setting, node, file: file)
            return
        }
        guard case .scalar(let text, let isPlain) = node.content, node.kindName != "nothing" else {
            let isBracketed = if case (.sequence, .address) = (node.content, setting.kind) { true } else { false }
            failedPaths.insert(setting.path)
            report(
                origin,
                "\(setting.path): found \(node.kindName); expected \(setting.kind.expectation)",
                nearest: isBracketed ? "an IPv6 address in quotes, \"[::1]:6400\"" : nil
            )
            return
        }
        switch setting.kind {
        case .flag where !isPlain, .count where !isPlain:
            failedPaths.insert(setting.path)
            report(
                origin,
                "\(setting.path): found \(node.kindName); expected \(setting.kind.expectation)",
                nearest: text
            )
        case .flag, .count, .bytes, .duration, .text, .choice, .address, .members:
            take(setting, text, origin)
        }
    }

    private mutating func takeMembers(_ setting: Setting, _ node: YAMLNode, file: String) {
        let problemCount = problems.count
        guard case .sequence(let items) = node.content else {
            failedPaths.insert(setting.path)
            report(
                .file(file, node.position),
                "\(setting.path): found \(node.kindName); expected \(setting.kind.expectation)"
            )
            return
        }
        var members: [Member] = []
        for item in items {
            if let member = member(item, setting.path, file: file) { members.append(member) }
        }
        if items.isEmpty {
            report(
                .file(file, node.position),
                "\(setting.path): an empty list; expected at least this node, or no such key"
            )
        }
        guard problems.count == problemCount else {
            failedPaths.insert(setting.path)
            return
        }
        found[setting.path] = FoundSetting(value: .members(members), origin: .file(file, node.position))
    }

    private mutating func member(_ item: YAMLNode, _ path: String, file: String) -> Member? {
        guard case .mapping(let pairs) = item.content else {
            report(
                .file(file, item.position),
                "\(path): found \(item.kindName); expected {id: number, peer: host:port}"
            )
            return nil
        }
        var id: NodeID?
        var peer: HostPort?
        let problemCount = problems.count
        for pair in pairs {
            let origin = Origin.file(file, pair.value.position)
            switch (pair.key, pair.value.content) {
            case ("id", .scalar(let text, isPlain: true)) where Member.nodeID(text) != nil:
                id = Member.nodeID(text)
            case ("id", _):
                report(origin, "\(path).id: found \(pair.value.kindName); expected a number from 1")
            case ("peer", .scalar(let text, _)):
                switch HostPort.parse(text) {
                case .right(let address): peer = address
                case .wrong(let what, let nearest): report(origin, "\(path).peer: \(what)", nearest: nearest)
                }
            case ("peer", _):
                report(origin, "\(path).peer: found \(pair.value.kindName); expected host:port")
            default:
                report(
                    .file(file, pair.position),
                    "unknown key \(quoted("\(path).\(pair.key)")); expected one of id, peer",
                    nearest: nearestName(to: pair.key, among: ["id", "peer"])
                )
            }
        }
        guard problems.count == problemCount else { return nil }
        guard let id, let peer else {
            let name = id == nil ? "id" : "peer"
            report(
                .file(file, item.position),
                "\(path): missing key \"\(name)\"; expected {id: number, peer: host:port}"
            )
            return nil
        }
        return Member(id: id, peer: peer)
    }

    // MARK: Environment and flags

    /// Takes every variable with the prefix; one that names no setting is a problem.
    mutating func gather(environment: [String: String]) {
        let byVariable = Dictionary(uniqueKeysWithValues: Schema.all.map { ($0.variable, $0) })
        for (name, text) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix(Schema.variablePrefix) {
            guard !Schema.reservedVariables.contains(name) else { continue }
            if let setting = byVariable[name] {
                take(setting, text, .environment(name))
            } else {
                report(
                    .environment(name),
                    "no setting has this variable; expected the name of a key, such as KVNODE_NODE_ID",
                    nearest: nearestName(to: name, among: Array(byVariable.keys).sorted())
                )
            }
        }
    }

    /// Takes one `path=value`.
    mutating func gather(flag: String) {
        guard let equals = flag.firstIndex(of: "=") else {
            report(.flag(flag), "no value; expected path=value, such as raft.election_timeout=250ms")
            return
        }
        let path = String(flag[..<equals])
        guard let setting = Schema.byPath[path] else {
            report(
                .flag(path),
                "unknown key \(quoted(path)); expected a key of config/kvnode.yaml",
                nearest: nearestName(to: path, among: Schema.all.map(\.path))
            )
            return
        }
        take(setting, String(flag[flag.index(after: equals)...]), .flag(path))
    }
}
