import KVEnvironment
import KVStorage

extension SSTDump {
    /// Which entries are shown.
    package struct EntrySelection: Sendable {
        /// The first key, as it is typed; nil for all from the first.
        package var from: String?
        /// The end, not shown.
        package var to: String?
        /// How many lines at most.
        package var limit: UInt64?
        /// Whether values are shown, not only their lengths.
        package var showsValues = false
        /// Whether only what a reader sees now is shown: of each key the newest entry, and no deletion.
        package var onlyVisible = false

        /// Everything.
        package init() {}
    }

    /// The stored form of a key that was typed.
    func storedKey(_ text: String) throws(ToolFailure) -> [UInt8] {
        let key = try output.keyFormat.parse(text)
        return output.showsRawKeys ? key : [1] + key
    }

    /// The entries of tables and tablets, in the order of their keys.
    package func entries(_ names: [String], _ selection: EntrySelection) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        let from = try selection.from.map { text throws(ToolFailure) in try storedKey(text) }
        let to = try selection.to.map { text throws(ToolFailure) in try storedKey(text) }
        let counts = readAll(targets)
        let exit = conclude(targets, "\(counts.entries) entries, \(counts.deletions) of them deletions")
        var left = selection.limit ?? .max
        for target in targets where left > 0 {
            var merge = TableMerge(target.inspectors, from: from, to: to)
            while left > 0, let key = merge.next() {
                if selection.onlyVisible {
                    guard let entry = key.visible else { continue }
                    show(entry, "entry", nil, selection.showsValues)
                    left -= 1
                    continue
                }
                for (entry, table) in key.entries where left > 0 {
                    show(entry, "entry", target.inspectors[table].path, selection.showsValues)
                    left -= 1
                }
            }
            if !selection.onlyVisible {
                for range in target.inspectors.flatMap(\.ranges) { show(range) }
            }
            if let directory = target.directory, let manifest = target.manifest { noteOwnLog(directory, manifest) }
        }
        finish(targets)
        return exit
    }

    func show(_ entry: InspectedEntry, _ type: String, _ table: String?, _ showsValues: Bool) {
        let row = StoredRow(key: entry.key, value: entry.value, isRaw: output.showsRawKeys)
        var fields = output.keyFields(entry.key)
        fields += [("sequence", .number(entry.sequence)), ("operation", .text(entry.isDeletion ? "delete" : "put"))]
        var text = "\(output.shownKey(entry.key))  @\(entry.sequence) \(entry.isDeletion ? "delete" : "put")"
        if !entry.isDeletion {
            fields += row.fields + [("valueBytes", .count(row.bytes.count))]
            text += " \(row.bytes.count) bytes" + row.text
            if showsValues {
                fields.append(("value", .bytes(row.bytes)))
                text += "  " + output.keyFormat.show(row.bytes)
            }
        }
        if let table {
            fields.append(("table", .text(table)))
            text += "  in \(fileName(of: table))"
        }
        output.row(type, fields, text)
    }

    func show(_ range: InspectedRange) {
        output.row(
            "range",
            output.keyFields(range.start, "start").prefix(1) + output.keyFields(range.end, "end").prefix(1)
                + [("sequence", .number(range.sequence)), ("operation", .text("deleteRange"))],
            "\(output.shownKey(range.start)) ..< \(output.shownKey(range.end))  @\(range.sequence) delete range"
        )
    }

    private func noteOwnLog(_ directory: String, _ manifest: ManifestReport) {
        var batches = 0
        _ = OwnLogInspection.read(fileSystem, tablet: directory, identity: manifest.identity) { batch, _ in
            if batch.firstSequence > manifest.lastSequence { batches += 1 }
        }
        guard batches > 0 else { return }
        output.note(
            "\(directory)/log holds \(batches) batches that are not in tables yet: walreplay records \(directory)/log"
        )
    }

    // MARK: One key

    /// What a reader gets for a key, from tables and the tablet's own log.
    package func get(_ names: [String], key text: String) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        let key = try storedKey(text)
        var best: InspectedEntry?
        var rangeSequence: UInt64 = 0
        for target in targets {
            var merge = TableMerge(target.inspectors, from: key, to: key + [0])
            if let found = merge.next() {
                rangeSequence = max(rangeSequence, found.rangeSequence)
                if let newest = found.entries.first?.entry, newest.sequence > best?.sequence ?? 0 { best = newest }
            } else {
                for range in target.inspectors.flatMap(\.ranges) where range.covers(key) {
                    rangeSequence = max(rangeSequence, range.sequence)
                }
            }
            for (operation, _) in ownLogOperations(target, key) {
                if operation.kind == .deleteRange {
                    rangeSequence = max(rangeSequence, operation.sequence)
                } else if operation.sequence > best?.sequence ?? 0 {
                    best = InspectedEntry(
                        key: key,
                        sequence: operation.sequence,
                        isDeletion: operation.kind == .delete,
                        value: operation.value
                    )
                }
            }
        }
        let visible = best.flatMap { $0.isDeletion || $0.sequence <= rangeSequence ? nil : $0 }
        let isThere = visible != nil
        let exit = conclude(targets, "\(output.shownKey(key)) is \(isThere ? "there" : "absent")")
        if let visible { show(visible, "value", nil, true) }
        if !isThere, output.format == .json { output.row("absent", output.keyFields(key), "") }
        noteNodeLog(targets, key)
        finish(targets)
        return exit
    }

    /// What the node that these tables are of has in its log and not in them.
    private func noteNodeLog(_ targets: [TableTarget], _ key: [UInt8]) {
        for target in targets {
            guard let directory = target.directory, let applied = target.manifest?.mark.appliedIndex else { continue }
            let group = fileName(of: parentDirectory(of: directory))
            for log in nodeLogs([directory]) {
                let newer = loggedCommands(log, key).count {
                    $0.index > applied && "\($0.group)" == group
                        && fileName(of: directory).hasPrefix("\($0.command.shard)-\($0.command.epoch)-")
                }
                guard newer > 0 else { continue }
                output.note(
                    "\(log) has \(SSTDump.count(newer, "newer command")) for it, behind index \(applied): sstdump find shows what,"
                        + " walreplay replay applies what is committed"
                )
            }
        }
    }

    /// What a tablet's own log does to a key, oldest first.
    func ownLogOperations(_ target: TableTarget, _ key: [UInt8]) -> [(InspectedOperation, String)] {
        guard let directory = target.directory, let manifest = target.manifest else { return [] }
        var found: [(InspectedOperation, String)] = []
        _ = OwnLogInspection.read(fileSystem, tablet: directory, identity: manifest.identity) { batch, record in
            for operation in batch.operations {
                let isHit =
                    operation.kind == .deleteRange
                    ? InspectedRange(start: operation.key, end: operation.value, sequence: 0).covers(key)
                    : operation.key == key
                if isHit {
                    found.append((operation, "log segment \(record.place.number), offset \(record.place.offset)"))
                }
            }
        }
        return found
    }
}

extension InspectedRange {
    func covers(_ key: [UInt8]) -> Bool {
        !key.lexicographicallyPrecedes(start) && key.lexicographicallyPrecedes(end)
    }
}
