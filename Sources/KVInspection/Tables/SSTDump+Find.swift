import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVStorage

extension SSTDump {
    /// The life of a key: which tables came and went that may have held it, what each live table and each log says of it, and what a
    /// reader gets.
    package func find(_ names: [String], key text: String) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        let key = try storedKey(text)
        var traces: [(target: TableTarget, lines: [Trace])] = []
        for target in targets {
            let lines = history(target, key) + live(target, key) + ownLog(target, key)
            traces.append((target, lines))
        }
        let logs = nodeLogs(names + targets.compactMap(\.directory)).flatMap { raftLog($0, key) }
        let hits = traces.reduce(0) { $0 + $1.lines.count(where: \.isHit) } + logs.count
        let exit = conclude(targets, "\(output.shownKey(key)): \(hits) stored \(hits == 1 ? "entry" : "entries")")
        for (target, lines) in traces where lines.contains(where: \.isHit) || targets.count == 1 {
            output.heading("")
            output.heading("\(target.directory ?? target.tables.first?.path ?? ""):")
            for line in lines { show(line) }
        }
        if !logs.isEmpty { output.heading("") }
        for line in logs { show(line) }
        finish(targets)
        return exit
    }

    struct Trace {
        var fields: [(String, JSONValue)]
        var text: String
        /// Whether it is about the key itself, not about what may hold it.
        var isHit: Bool
    }

    private func show(_ trace: Trace) { output.row("trace", trace.fields, "  " + trace.text) }

    private func history(_ target: TableTarget, _ key: [UInt8]) -> [Trace] {
        var held: Set<UInt64> = []
        var traces: [Trace] = []
        for (number, edit) in (target.manifest?.edits ?? []).enumerated() {
            for table in edit.removed where held.remove(table) != nil {
                traces.append(
                    Trace(
                        fields: [("where", .text("manifest")), ("edit", .count(number)), ("removed", .number(table))],
                        text: "manifest, edit \(number): table \(table) goes",
                        isHit: false
                    )
                )
            }
            for table in edit.added where table.mayHold(key) {
                held.insert(table.number)
                traces.append(
                    Trace(
                        fields: [
                            ("where", .text("manifest")), ("edit", .count(number)), ("added", .number(table.number)),
                            ("level", .count(table.level)),
                        ],
                        text:
                            "manifest, edit \(number): table \(table.number) comes into level \(table.level); its bounds hold the key",
                        isHit: false
                    )
                )
            }
        }
        return traces
    }

    private func live(_ target: TableTarget, _ key: [UInt8]) -> [Trace] {
        target.tables.flatMap { table -> [Trace] in
            guard let inspector = table.inspector, table.expected?.mayHold(key) ?? true else { return [] }
            return live(TablePlace(table), inspector, key)
        }
    }

    private func live(_ place: TablePlace, _ inspector: TableInspector, _ key: [UInt8]) -> [Trace] {
        var traces: [Trace] = []
        var merge = TableMerge([inspector], from: key, to: key + [0])
        let found = merge.next()?.entries ?? []
        if found.isEmpty {
            let passes = inspector.filterMayContain(key)
            let filter = passes.map { $0 ? "the filter lets it pass" : "the filter denies it" } ?? "no filter reads"
            traces.append(
                place.trace("not in it; \(filter)", [("filter", passes.map { .flag($0) } ?? .null)], isHit: false)
            )
        }
        for (entry, _) in found {
            let row = StoredRow(key: key, value: entry.value, isRaw: output.showsRawKeys)
            let what = entry.isDeletion ? "delete" : "put \(row.bytes.count) bytes" + row.text
            let fields: [(String, JSONValue)] = [
                ("sequence", .number(entry.sequence)),
                ("operation", .text(entry.isDeletion ? "delete" : "put")),
                ("valueBytes", .count(row.bytes.count)),
            ]
            traces.append(place.trace("@\(entry.sequence) \(what)", fields + row.fields, isHit: true))
        }
        for range in inspector.ranges where range.covers(key) {
            let bounds = "from \(output.shownKey(range.start)) to \(output.shownKey(range.end))"
            traces.append(
                place.trace(
                    "@\(range.sequence) delete range \(bounds)",
                    [("sequence", .number(range.sequence)), ("operation", .text("deleteRange"))],
                    isHit: true
                )
            )
        }
        return traces
    }

    private func ownLog(_ target: TableTarget, _ key: [UInt8]) -> [Trace] {
        ownLogOperations(target, key).map { operation, place in
            Trace(
                fields: [
                    ("where", .text("own log")), ("place", .text(place)), ("sequence", .number(operation.sequence)),
                    ("operation", .text("\(operation.kind)")), ("valueBytes", .count(operation.value.count)),
                ],
                text: "own log, \(place): @\(operation.sequence) \(operation.kind) \(operation.value.count) bytes",
                isHit: true
            )
        }
    }

    /// The logs of the nodes whose tablets these are, or whose data directories.
    func nodeLogs(_ directories: [String]) -> [String] {
        var logs: Set<String> = []
        for directory in directories.map(Paths.trimmed) {
            let group = parentDirectory(of: directory)
            for data in [directory, parentDirectory(of: parentDirectory(of: group))] {
                let isData = fileSystem.exists(data + "/node.yaml") && fileSystem.exists(data + "/log")
                if isData { logs.insert(data + "/log") }
            }
        }
        return logs.sorted()
    }

    private func raftLog(_ directory: String, _ key: [UInt8]) -> [Trace] {
        loggedCommands(directory, key).map { found in
            Trace(
                fields: [
                    ("where", .text("log")), ("log", .text(directory)), ("place", .text(found.place)),
                    ("group", .number(UInt64(found.group.rawValue))), ("index", .number(found.index)),
                    ("term", .number(found.term)), ("time", .number(found.time)),
                ] + found.command.fields(showsValue: false, output),
                text:
                    "log \(directory), \(found.place): group \(found.group), entry \(found.index) (term \(found.term)): "
                    + found.command.text(showsValue: false, output),
                isHit: true
            )
        }
    }

    /// A command about a key, and where it stands.
    struct FoundCommand {
        let place: String
        let group: GroupID
        let index: LogIndex
        let term: Term
        let time: UInt64
        let command: LoggedCommand
    }

    /// What a node's log has about a stored key, oldest first.
    func loggedCommands(_ directory: String, _ key: [UInt8]) -> [FoundCommand] {
        guard case .user(let wanted) = StoredKey(key, isRaw: output.showsRawKeys) else { return [] }
        var found: [FoundCommand] = []
        // What is wrong with the log is for `walreplay verify` to say.
        _ = try? LogInspection.segments(fileSystem, directory: directory) { record in
            guard record.kind == .raftEntries,
                case .entries(let group, let entries)? = try? NodeLogRecord(record.kind, record.payload)
            else { return }
            let place = "segment \(record.place.number), offset \(record.place.offset)"
            for entry in entries {
                for command in LoggedCommand.commands(of: entry, group: group) where command.key == wanted {
                    found.append(
                        FoundCommand(
                            place: place,
                            group: group,
                            index: entry.index,
                            term: entry.term,
                            time: entry.time,
                            command: command
                        )
                    )
                }
            }
        }
        return found
    }
}

/// The table that a trace is about.
private struct TablePlace {
    private let path: String
    private let text: String

    init(_ table: TableLook) {
        path = table.path
        let name = fileName(of: table.path)
        var text = "table \(name)"
        if let level = table.level { text += ", level \(level)" }
        self.text = text
    }

    func trace(_ what: String, _ fields: [(String, JSONValue)], isHit: Bool) -> SSTDump.Trace {
        SSTDump.Trace(
            fields: [("where", .text("table")), ("table", .text(path))] + fields,
            text: "\(text): \(what)",
            isHit: isHit
        )
    }
}
