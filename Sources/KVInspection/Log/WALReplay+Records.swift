import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVStorage

extension WALReplay {
    /// Which records are shown.
    package struct RecordSelection: Sendable {
        /// Only this group's.
        package var group: UInt32?
        /// From this index on.
        package var from: UInt64?
        /// Through this index.
        package var to: UInt64?
        /// Only entries of this term.
        package var term: UInt64?
        /// Only records of this kind, such as "raft-entries".
        package var type: String?
        /// Whether values are shown, not only their lengths.
        package var showsValues = false

        /// Everything.
        package init() {}

        /// The names of kinds.
        package static let types = [
            "batch", "raft-entries", "raft-state", "version-edit", "segment-state", "group-edit", "raft-reset",
        ]

        func takes(_ kind: LogRecordKind) -> Bool { type == nil || type == Self.name(kind) }

        static func name(_ kind: LogRecordKind) -> String {
            String("\(kind)".map { $0 == " " ? "-" : $0 })
        }

        func takes(_ group: GroupID) -> Bool { self.group == nil || self.group == group.rawValue }

        func takes(_ entry: Entry) -> Bool {
            entry.index >= from ?? 0 && entry.index <= to ?? .max && (term == nil || term == entry.term)
        }

        /// Whether anything is asked for that only entries have.
        var isAboutEntries: Bool { from != nil || to != nil || term != nil }
    }

    /// The records as they stand in the files.
    package func records(_ names: [String], _ selection: RecordSelection) throws(ToolFailure) -> ToolExit {
        if let type = selection.type, !RecordSelection.types.contains(type) {
            throw ToolFailure(
                .usage,
                "no kind of record is '\(type)': \(RecordSelection.types.joined(separator: ", "))"
            )
        }
        let (targets, findings) = try readAll(names)
        let count = targets.flatMap(\.files).reduce(UInt64(0)) { $0 + $1.recordCount }
        let exit = conclude(targets, findings, "\(count) records")
        _ = try paths.logs(names) { path, record in
            guard selection.takes(record.kind), case .success(let content) = decode(record, path) else { return }
            show(content, record, path, selection)
        }
        output.findings(findings.advised())
        return exit
    }

    private func show(_ content: RecordContent, _ record: LogRecord, _ path: String, _ selection: RecordSelection) {
        let file = fileName(of: path)
        let place: [(String, JSONValue)] = [
            ("file", .text(path)), ("offset", .number(record.place.offset)), ("sequence", .number(record.sequence)),
            ("kind", .text(RecordSelection.name(record.kind))), ("bytes", .count(record.payload.count)),
        ]
        let head = "#\(record.sequence) \(file)+\(record.place.offset) \(record.kind)"
        switch content {
        case .node(.entries(let group, let entries)):
            let taken = entries.filter(selection.takes)
            guard selection.takes(group), !taken.isEmpty else { return }
            showEntries(taken, group, head, place, selection)
            return
        case _ where selection.isAboutEntries: return
        case .node(.state(let group, let state)):
            guard selection.takes(group) else { return }
            output.row(
                "record",
                place + [("group", .number(UInt64(group.rawValue)))] + fields(state),
                "\(head): group \(group) \(text(state))"
            )
        case .node(.reset(let group, let cut)):
            guard selection.takes(group) else { return }
            output.row(
                "record",
                place + [
                    ("group", .number(UInt64(group.rawValue))), ("index", .number(cut.index)),
                    ("term", .number(cut.term)),
                ],
                "\(head): group \(group) begins after index \(cut.index) (term \(cut.term))"
            )
        case .node(.segmentState(let groups)):
            let taken = groups.filter { selection.takes($0.group) }
            output.row(
                "record",
                place + [
                    (
                        "groups",
                        .list(
                            taken.map { group in
                                .object(
                                    [("group", .number(UInt64(group.group.rawValue)))] + fields(group.state)
                                        + [("cut", .number(group.cut.index)), ("cutTerm", .number(group.cut.term))]
                                )
                            }
                        )
                    )
                ],
                "\(head): "
                    + taken.map { "group \($0.group) \(text($0.state)) cut \($0.cut.index)" }.joined(separator: "; ")
            )
        case .batch(let batch): show(batch, head, place, selection)
        case .group(let state):
            output.row(
                "record",
                place + [
                    ("cut", .number(state.cutIndex)), ("cutTerm", .number(state.cutTerm)),
                    ("membershipIndex", .number(state.membershipIndex)), ("installed", .number(state.installedIndex)),
                    ("tablets", .list(state.tablets.map { .text($0.directory) })),
                ],
                "\(head): cut \(state.cutIndex) (term \(state.cutTerm)), membership of index \(state.membershipIndex), tablets "
                    + state.tablets.map(\.directory).joined(separator: " ")
            )
        case .versionEdit:
            output.row("record", place, "\(head): \(record.payload.count) bytes; sstdump manifest shows it")
        }
    }

    private func fields(_ state: HardState) -> [(String, JSONValue)] {
        [("term", .number(state.term)), ("vote", .optional(state.vote?.rawValue)), ("commit", .number(state.commit))]
    }

    private func text(_ state: HardState) -> String {
        "term \(state.term) vote \(state.vote.map { "\($0)" } ?? "-") commit \(state.commit)"
    }

    private func showEntries(
        _ entries: [Entry],
        _ group: GroupID,
        _ head: String,
        _ place: [(String, JSONValue)],
        _ selection: RecordSelection
    ) {
        if output.format == .table {
            output.heading("\(head): group \(group), \(entries.count) \(entries.count == 1 ? "entry" : "entries")")
            for entry in entries {
                output.heading(
                    "  \(entry.index) term \(entry.term) \(entry.kind) time \(entry.time) \(entry.payload.count) bytes"
                )
                for command in LoggedCommand.commands(of: entry, group: group) {
                    output.heading("    " + command.text(showsValue: selection.showsValues, output))
                }
            }
            return
        }
        let shown = entries.map { entry -> JSONValue in
            let commands = LoggedCommand.commands(of: entry, group: group)
            return .object([
                ("index", .number(entry.index)), ("term", .number(entry.term)), ("kind", .text("\(entry.kind)")),
                ("time", .number(entry.time)), ("bytes", .count(entry.payload.count)),
                ("commands", .list(commands.map { .object($0.fields(showsValue: selection.showsValues, output)) })),
            ])
        }
        output.row("record", place + [("group", .number(UInt64(group.rawValue))), ("entries", .list(shown))], "")
    }

    private func show(
        _ batch: InspectedBatch,
        _ head: String,
        _ place: [(String, JSONValue)],
        _ selection: RecordSelection
    ) {
        output.row(
            "record",
            place + [
                ("firstSequence", .number(batch.firstSequence)), ("appliedIndex", .number(batch.mark.appliedIndex)),
                ("operations", .list(batch.operations.map { .object(fields($0, selection)) })),
            ],
            "\(head): \(batch.operations.count) operations from sequence \(batch.firstSequence)"
        )
        for operation in batch.operations {
            var text = "  @\(operation.sequence) \(operation.kind) \(output.shownKey(operation.key))"
            if operation.kind == .put {
                text += " \(operation.value.count) bytes"
                if selection.showsValues { text += "  " + output.keyFormat.show(operation.value) }
            }
            output.heading(text)
        }
    }

    private func fields(_ operation: InspectedOperation, _ selection: RecordSelection) -> [(String, JSONValue)] {
        var fields: [(String, JSONValue)] = [
            ("sequence", .number(operation.sequence)), ("operation", .text("\(operation.kind)")),
        ]
        fields += output.keyFields(operation.key)
        fields.append(("valueBytes", .count(operation.value.count)))
        if selection.showsValues { fields.append(("value", .bytes(operation.value))) }
        return fields
    }

    // MARK: Export

    /// Every command of every entry in force, or every operation of a lone tablet's log, as lines of JSON.
    ///
    /// - Precondition: the output is JSON.
    package func export(_ names: [String], group: UInt32? = nil) throws(ToolFailure) -> ToolExit {
        precondition(output.format == .json, "an export is lines of JSON")
        let (targets, findings) = try readAll(names)
        let exit = conclude(targets, findings, "export")
        var selection = RecordSelection()
        selection.group = group
        for target in targets {
            if let directory = target.directory, let log = try? OfflineNodeLog(fileSystem, directory: directory),
                !log.groups.isEmpty
            {
                for (group, state) in log.groups.sorted(by: { $0.key < $1.key }) where selection.takes(group) {
                    try exportEntries(log, group, state)
                }
            } else {
                _ = try paths.logs(target.files.map(\.path)) { path, record in
                    guard case .success(let content) = decode(record, path) else { return }
                    exportRecord(content, selection)
                }
            }
        }
        output.findings(findings.advised())
        return exit
    }

    private func exportEntries(_ log: OfflineNodeLog, _ group: GroupID, _ state: RecoveredLog.Group) throws(ToolFailure)
    {
        do throws(LogReadError) {
            try log.forEachEntry(group, from: state.cut.index + 1, through: state.lastIndex) {
                entry throws(LogReadError) in
                export(entry, group)
                return true
            }
        } catch .unavailable {
            return
        } catch {
            throw ToolFailure(.damage, "group \(group): \(error)")
        }
    }

    private func exportRecord(_ content: RecordContent, _ selection: RecordSelection) {
        switch content {
        case .node(.entries(let group, let entries)) where selection.takes(group):
            for entry in entries { export(entry, group) }
        case .batch(let batch):
            for operation in batch.operations {
                var shown = RecordSelection()
                shown.showsValues = true
                output.row("operation", fields(operation, shown), "")
            }
        default: break
        }
    }

    private func export(_ entry: Entry, _ group: GroupID) {
        for command in LoggedCommand.commands(of: entry, group: group) {
            output.row(
                "command",
                [
                    ("group", .number(UInt64(group.rawValue))), ("index", .number(entry.index)),
                    ("term", .number(entry.term)),
                    ("time", .number(entry.time)),
                ] + command.fields(showsValue: true, output),
                ""
            )
        }
    }
}
