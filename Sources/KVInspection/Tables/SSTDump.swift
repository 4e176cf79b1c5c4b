package import KVEnvironment
import KVStorage

/// The commands of `sstdump`: each reads tables or tablets and writes its verdict first.
///
/// Nothing but `salvage` writes, and that only into a new directory.
package struct SSTDump {
    /// The commands by name.
    package static let commands = [
        "summary", "properties", "blocks", "entries", "verify", "get", "find", "manifest", "stats", "salvage",
    ]

    let fileSystem: any FileSystem
    let output: Output

    /// The commands over these files.
    package init(_ fileSystem: any FileSystem, _ output: Output) {
        self.fileSystem = fileSystem
        self.output = output
    }

    var paths: Paths { Paths(fileSystem: fileSystem) }

    /// Writes the verdict over everything that was found, and returns its exit code.
    func conclude(_ targets: [TableTarget], _ message: String) -> ToolExit {
        let verdict = Verdict(targets.flatMap(\.findings), tornTails: targets.flatMap(\.tornTails), message)
        output.verdict(verdict)
        return verdict.exit
    }

    func finish(_ targets: [TableTarget]) { output.findings(targets.flatMap(\.findings).advised()) }

    /// Reads every byte of the targets' tables.
    func readAll(_ targets: [TableTarget]) -> TableCounts {
        var total = TableCounts()
        for inspector in targets.flatMap(\.inspectors) {
            let counts = inspector.verify()
            total.blocks += counts.blocks
            total.entries += counts.entries
            total.deletions += counts.deletions
        }
        return total
    }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    // MARK: Summary

    /// What the tablets and tables are, without reading their data blocks.
    package func summary(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        let tables = targets.reduce(0) { $0 + $1.tables.count }
        let exit = conclude(
            targets,
            "\(Self.count(tables, "table")) in \(Self.count(targets.count, "place")); data blocks were not read: sstdump verify reads all"
        )
        for target in targets {
            if let directory = target.directory, let manifest = target.manifest {
                tabletSummary(directory, manifest, target)
            }
        }
        output.table(
            "table",
            ["table", "level", "live", "bytes", "entries", "deletions", "smallest", "largest"],
            targets.flatMap(\.tables).map { table in
                let counts = table.inspector?.statedCounts
                let bounds = table.inspector?.bounds
                return [
                    .text(table.path), table.level.map { .count($0) } ?? .null, table.isLive.map { .flag($0) } ?? .null,
                    .optional(table.inspector?.size), .optional(counts?.entries), .optional(counts?.deletions),
                    output.keyCell(bounds?.smallest), output.keyCell(bounds?.largest),
                ]
            }
        )
        finish(targets)
        return exit
    }

    private func tabletSummary(_ directory: String, _ manifest: ManifestReport, _ target: TableTarget) {
        let bytes = manifest.tables.reduce(UInt64(0)) { $0 &+ $1.size }
        let mark = manifest.mark
        output.row(
            "tablet",
            [
                ("directory", .text(directory)), ("manifest", manifest.path.map { .text($0) } ?? .null),
                ("closed", .flag(manifest.isClosed)), ("tables", .count(manifest.tables.count)),
                ("bytes", .number(bytes)),
                ("lastSequence", .number(manifest.lastSequence)), ("appliedIndex", .number(mark.appliedIndex)),
                ("appliedTerm", .number(mark.appliedTerm)), ("revision", .number(mark.revision)),
                ("loggedTime", .number(mark.loggedTime)), ("epoch", .number(mark.epoch.rawValue)),
                ("frozen", .flag(mark.flags.contains(.frozen))),
            ],
            "tablet \(directory): \(Self.count(manifest.tables.count, "table")), \(bytes) bytes, applied index \(mark.appliedIndex)"
                + " (term \(mark.appliedTerm)), revision \(mark.revision), sequence \(manifest.lastSequence)"
                + (manifest.isClosed ? ", closed" : ", not closed in good order")
        )
    }

    // MARK: Verify

    /// Reads every byte and checks it.
    package func verify(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        var findings: [InspectionFinding] = []
        var total = InspectionReport()
        for target in targets {
            if let directory = target.directory {
                let report = TabletInspection.verify(fileSystem, directory)
                findings += report.findings
                total.tableCount += report.tableCount
                total.blockCount += report.blockCount
                total.entryCount += report.entryCount
                total.tornTails += report.tornTails
                total.notes += report.notes
            } else {
                let counts = readAll([target])
                total.tableCount += target.inspectors.count
                total.blockCount += counts.blocks
                total.entryCount += counts.entries
                findings += target.findings
            }
        }
        let verdict = Verdict(
            findings,
            tornTails: total.tornTails,
            "\(Self.count(total.tableCount, "table")), \(Self.count(total.blockCount, "data block")), \(total.entryCount) entries:"
                + " every byte was read and is what was written"
        )
        output.verdict(verdict)
        for note in total.notes { output.note(note) }
        output.findings(findings.advised())
        return verdict.exit
    }

    // MARK: Properties and blocks

    /// What each table says of itself.
    package func properties(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        let exit = conclude(targets, Self.count(targets.reduce(0) { $0 + $1.tables.count }, "table"))
        for table in targets.flatMap(\.tables) {
            guard let inspector = table.inspector else { continue }
            var fields: [(String, JSONValue)] = [
                ("table", .text(table.path)), ("bytes", .number(inspector.size)),
                ("uid", inspector.uid.map { .text("\(String($0, radix: 16))") } ?? .null),
                ("created", .optional(inspector.createdMilliseconds)),
            ]
            if let level = table.level { fields.append(("manifestLevel", .count(level))) }
            for (name, value) in inspector.propertyRows {
                switch value {
                case .number(let number): fields.append((name, .number(number)))
                case .text(let text): fields.append((name, .text(text)))
                case .flag(let flag): fields.append((name, .flag(flag)))
                case .key(let key): fields.append((name, output.keyCell(key)))
                }
            }
            if output.format == .json {
                output.row("properties", fields, "")
            } else {
                output.heading("")
                output.table("property", ["property", "value"], fields.map { [.text($0.0), asText($0.1)] })
            }
        }
        finish(targets)
        return exit
    }

    /// Numbers and names in one column stand on the left.
    private func asText(_ value: JSONValue) -> JSONValue {
        if case .number(let number) = value { .text("\(number)") } else { value }
    }

    /// Every block, and whether it reads.
    package func blocks(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        var rows: [[JSONValue]] = []
        for table in targets.flatMap(\.tables) {
            guard let inspector = table.inspector else { continue }
            for block in inspector.blocks {
                let before = inspector.findings.count
                let entries = block.kind == .data ? inspector.entries(of: block) : nil
                let isGood =
                    inspector.findings.count == before && !inspector.findings.contains { $0.offset == block.offset }
                rows.append([
                    .text(table.path), .text(block.name), .number(block.offset), .number(UInt64(block.length)),
                    .flag(isGood), entries.map { .count($0.count) } ?? .null, output.keyCell(entries?.first?.key),
                    output.keyCell(entries?.last?.key),
                ])
            }
        }
        let exit = conclude(targets, Self.count(rows.count, "block"))
        output.table("block", ["table", "block", "offset", "length", "good", "entries", "first", "last"], rows)
        finish(targets)
        return exit
    }

    // MARK: Manifest

    /// The history of edits and the tables by level.
    package func manifest(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        guard targets.contains(where: { $0.directory != nil }) else {
            throw ToolFailure(.usage, "a table by itself has no manifest: name the tablet's directory")
        }
        let edits = targets.reduce(0) { $0 + ($1.manifest?.edits.count ?? 0) }
        let findings = targets.flatMap { $0.manifest?.findings ?? [] }
        let verdict = Verdict(findings, tornTails: targets.flatMap(\.tornTails), Self.count(edits, "edit"))
        output.verdict(verdict)
        for target in targets {
            guard let manifest = target.manifest else { continue }
            output.heading("")
            output.heading("\(manifest.path ?? target.directory ?? ""):")
            for (number, edit) in manifest.edits.enumerated() { show(edit, number, manifest.path ?? "") }
            output.heading("now:")
            output.table(
                "table",
                ["level", "table", "bytes", "entries", "deletions", "sequences", "smallest", "largest"],
                manifest.tables.map { table in
                    [
                        .count(table.level), .text(table.name), .number(table.size), .number(table.entryCount),
                        .number(table.deletionCount), .text("\(table.sequenceMin)..\(table.sequenceMax)"),
                        output.keyCell(table.smallest), output.keyCell(table.largest),
                    ]
                }
            )
        }
        output.findings(findings.advised())
        return verdict.exit
    }

    private func show(_ edit: InspectedEdit, _ number: Int, _ path: String) {
        var parts: [String] = []
        if edit.isSnapshot { parts.append("whole state") }
        parts += edit.removed.map { "-\($0)" }
        parts += edit.added.map { "+\($0.number) (level \($0.level), \($0.size) bytes)" }
        if let mark = edit.mark { parts.append("applied \(mark.appliedIndex) (term \(mark.appliedTerm))") }
        if let sequence = edit.lastSequence { parts.append("sequence \(sequence)") }
        if let log = edit.logNumber, log > 0 { parts.append("own log from \(log)") }
        output.row(
            "edit",
            [
                ("manifest", .text(path)), ("edit", .count(number)), ("offset", .number(edit.offset)),
                ("snapshot", .flag(edit.isSnapshot)), ("removed", .list(edit.removed.map { .number($0) })),
                (
                    "added",
                    .list(
                        edit.added.map {
                            .object([
                                ("table", .number($0.number)), ("level", .count($0.level)), ("bytes", .number($0.size)),
                                ("entries", .number($0.entryCount)),
                            ])
                        }
                    )
                ), ("appliedIndex", .optional(edit.mark?.appliedIndex)), ("lastSequence", .optional(edit.lastSequence)),
            ],
            "edit \(number) at \(edit.offset): " + parts.joined(separator: ", ")
        )
    }

    // MARK: Stats

    /// Sums for each level.
    package func stats(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        let exit = conclude(targets, Self.count(targets.reduce(0) { $0 + $1.tables.count }, "table"))
        for target in targets {
            if let directory = target.directory {
                output.heading("")
                output.heading("\(directory):")
            }
            let levels = Dictionary(grouping: target.tables) { $0.level ?? -1 }
            let rows = levels.sorted { $0.key < $1.key }.map { level, tables in statsRow(level, tables, target) }
            output.table(
                "level",
                [
                    "tablet", "level", "files", "bytes", "rawBytes", "ratio", "entries", "deletions",
                    "filterFalsePositives",
                ],
                rows
            )
        }
        finish(targets)
        return exit
    }

    private func statsRow(_ level: Int, _ tables: [TableLook], _ target: TableTarget) -> [JSONValue] {
        let inspectors = tables.compactMap(\.inspector)
        let bytes = inspectors.reduce(UInt64(0)) { $0 + $1.size }
        let raw = inspectors.reduce(UInt64(0)) { $0 &+ ($1.rawBytes ?? 0) }
        let entries = inspectors.reduce(UInt64(0)) { $0 &+ ($1.statedCounts?.entries ?? 0) }
        let deletions = inspectors.reduce(UInt64(0)) { $0 &+ ($1.statedCounts?.deletions ?? 0) }
        let rates = inspectors.compactMap { $0.filterFalsePositiveRate() }
        let rate = rates.isEmpty ? nil : rates.reduce(0, +) / Double(rates.count)
        return [
            target.directory.map { .text($0) } ?? .null, level < 0 ? .null : .count(level), .count(tables.count),
            .number(bytes), .number(raw),
            raw == 0 ? .null : .real((Double(bytes) / Double(raw) * 1000).rounded() / 1000),
            .number(entries), .number(deletions),
            rate.map { .text(Output.shown($0 * 100) + "%") } ?? .null,
        ]
    }
}
