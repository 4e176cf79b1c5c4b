import KVBase
package import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVStorage

/// The commands of `walreplay`: each reads a log, or a whole node, and writes its verdict first.
///
/// `truncate`, `salvage` and `replay` write; nothing else does.
package struct WALReplay {
    /// The commands by name.
    package static let commands = [
        "summary", "records", "verify", "state", "truncate", "salvage", "export", "replay",
    ]

    let fileSystem: any FileSystem
    let output: Output

    /// The commands over these files.
    package init(_ fileSystem: any FileSystem, _ output: Output) {
        self.fileSystem = fileSystem
        self.output = output
    }

    var paths: Paths { Paths(fileSystem: fileSystem) }

    /// What is wrong with the logs' files, and with records that their owner never writes.
    func findings(_ targets: [LogTarget], _ records: [InspectionFinding] = []) -> [InspectionFinding] {
        var findings = targets.flatMap(\.files).flatMap { LogFindings.findings(of: $0, fileSystem) } + records
        for target in targets { tellLosses(target, &findings) }
        return findings
    }

    /// Each segment's header says how many records came before it: what lies between and does not read is lost.
    private func tellLosses(_ target: LogTarget, _ findings: inout [InspectionFinding]) {
        for (file, next) in zip(target.files, target.files.dropFirst()) where file.isDamaged {
            guard let before = file.header?.lastSequence, let after = next.header?.lastSequence,
                after >= before + file.recordCount
            else { continue }
            let lost = after - before - file.recordCount
            for place in findings.indices where findings[place].file == file.path && findings[place].lost == nil {
                findings[place].lost =
                    "\(lost) of \(after - before) records of this file: \(before + file.recordCount + 1)..\(after) of the log"
            }
        }
        guard let last = target.files.last, last.isDamaged else { return }
        for place in findings.indices where findings[place].file == last.path && findings[place].lost == nil {
            findings[place].lost = "all records of this file behind the damage, as far as readers go"
        }
    }

    func conclude(_ targets: [LogTarget], _ findings: [InspectionFinding], _ message: String) -> ToolExit {
        let verdict = Verdict(findings, tornTails: targets.flatMap(\.tornTails), message)
        output.verdict(verdict)
        return verdict.exit
    }

    /// What a record holds, or why it is not what its owner writes.
    func decode(_ record: LogRecord, _ path: String) -> Result<RecordContent, InspectionFinding> {
        do throws(DecodingError) {
            return .success(try RecordContent(record))
        } catch {
            return .failure(
                InspectionFinding(
                    file: path,
                    offset: record.place.offset,
                    length: UInt64(record.payload.count),
                    what: "\(record.kind): \(error)",
                    part: "record \(record.sequence)"
                )
            )
        }
    }

    /// Checks that each entry carries the checksum of its parts.
    func wrongEntry(_ content: RecordContent, _ record: LogRecord, _ path: String) -> InspectionFinding? {
        guard case .node(.entries(let group, let entries)) = content,
            let wrong = entries.first(where: { !$0.holdsChecksum(group: group) })
        else { return nil }
        return InspectionFinding(
            file: path,
            offset: record.place.offset,
            length: UInt64(record.payload.count),
            what: "entry \(wrong.index) of group \(group) does not carry the checksum of its parts",
            part: "record \(record.sequence)"
        )
    }

    /// Reads the logs and checks every record.
    func readAll(_ names: [String]) throws(ToolFailure) -> (targets: [LogTarget], findings: [InspectionFinding]) {
        var wrong: [InspectionFinding] = []
        let targets = try paths.logs(names) { path, record in
            switch decode(record, path) {
            case .success(let content): if let finding = wrongEntry(content, record, path) { wrong.append(finding) }
            case .failure(let finding): wrong.append(finding)
            }
        }
        return (targets, findings(targets, wrong))
    }

    // MARK: Summary and state

    /// The files of a log and how each ends.
    package func summary(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let (targets, findings) = try readAll(names)
        let files = targets.flatMap(\.files)
        let records = files.reduce(UInt64(0)) { $0 + $1.recordCount }
        let exit = conclude(targets, findings, "\(SSTDump.count(files.count, "file")), \(records) records")
        output.table(
            "file",
            ["file", "bytes", "used", "records", "start", "provenThrough", "end"],
            files.map { file in
                [
                    .text(file.path), .number(file.size), .number(file.length), .number(file.recordCount),
                    .optional(file.header?.start), .number(file.provenThrough), .text(Self.ending(file)),
                ]
            }
        )
        showGroups(targets)
        output.findings(findings.advised())
        return exit
    }

    private static func ending(_ file: LogFileReport) -> String {
        if file.refusal != nil { return "refused" }
        switch file.verdict {
        case .cleanEnd(_, let isClosed): return isClosed ? "closed" : "clean end"
        case .tornTail(let place): return "torn at \(place.offset)"
        case .corruption(let place, _, _): return "damaged at \(place.offset)"
        case .inputOutput: return "unreadable"
        }
    }

    /// Term, vote, commit and bounds of each group.
    package func state(_ names: [String]) throws(ToolFailure) -> ToolExit {
        let (targets, findings) = try readAll(names)
        let exit = conclude(targets, findings, "the groups' states as the log has them")
        showGroups(targets)
        output.findings(findings.advised())
        return exit
    }

    private func showGroups(_ targets: [LogTarget]) {
        for directory in targets.compactMap(\.directory) {
            // A log whose records do not read has no state to show; the findings say so.
            guard let log = try? OfflineNodeLog(fileSystem, directory: directory), !log.groups.isEmpty else { continue }
            output.heading("")
            output.table(
                "group",
                ["log", "group", "term", "vote", "commit", "first", "last", "lastTerm", "cut", "cutTerm"],
                log.groups.sorted { $0.key < $1.key }.map { group, state in
                    [
                        .text(directory), .number(UInt64(group.rawValue)), .number(state.hardState.term),
                        .optional(state.hardState.vote?.rawValue), .number(state.hardState.commit),
                        .number(state.cut.index + 1), .number(state.lastIndex), .number(state.lastTerm),
                        .number(state.cut.index), .number(state.cut.term),
                    ]
                }
            )
        }
    }
}
