import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVStorage

extension WALReplay {
    /// Writes every record that reads, those behind damage too, into a new log in `directory`.
    ///
    /// The new log is for reading, exporting and replaying: a node must not vote with it.
    package func salvage(_ name: String, into directory: String) throws(ToolFailure) -> ToolExit {
        let path = Paths.trimmed(name)
        let targets = try paths.logs([path])
        let files = targets.flatMap(\.files)
        let identity = files.lazy.compactMap(\.header).first?.identity ?? []
        try fileSystem.makeNewDirectory(directory)
        var gaps: [LogGap] = []
        var saved: UInt64 = 0
        var unknown = 0
        do {
            let writer = try LogWriter.open(
                fileSystem,
                directory: directory,
                identity: identity,
                segmentBytes: 64 << 20,
                after: LogContents(emptyIn: directory)
            )
            for (place, file) in files.enumerated() {
                let next = place + 1 < files.count ? files[place + 1].header : nil
                let limit = next?.predecessorNumber == file.number ? next?.predecessorLength : nil
                let number = file.number == 0 ? 1 : file.number
                gaps += try LogInspection.salvage(fileSystem, path: file.path, number: number, limit: limit) {
                    (record) throws(LogError) in
                    guard case .success = decode(record, file.path) else {
                        unknown += 1
                        return
                    }
                    saved += 1
                    try writer.append(record.kind, record.payload)
                }
            }
            try writer.close()
        } catch {
            throw ToolFailure(.inputOutput, "salvage of \(path) into \(directory): \(error)")
        }
        let findings = findings(targets)
        let exit = conclude(targets, findings, "\(saved) records are in \(directory)")
        output.row(
            "salvaged",
            [("directory", .text(directory)), ("records", .number(saved)), ("unknown", .count(unknown))],
            "\(saved) records are in \(directory)\(unknown > 0 ? "; \(unknown) that no owner writes were left out" : "")"
        )
        output.table(
            "gap",
            ["file", "offset", "length"],
            gaps.map { [.text($0.path), .number($0.offset), .number($0.length)] }
        )
        showMissing(directory)
        output.findings(findings.advised())
        return exit
    }

    /// Which indexes of each group the salvaged log does not hold between its first and its last.
    private func showMissing(_ directory: String) {
        var seen: [GroupID: (first: LogIndex, last: LogIndex, missing: [ClosedRange<LogIndex>])] = [:]
        // The log was just written; if it does not read now, the command that reads it next says so.
        _ = try? LogInspection.segments(fileSystem, directory: directory) { record in
            guard case .success(.node(.entries(let group, let entries))) = decode(record, directory),
                let first = entries.first?.index, let last = entries.last?.index
            else { return }
            guard var bounds = seen[group] else {
                seen[group] = (first, last, [])
                return
            }
            if first > bounds.last + 1 { bounds.missing.append((bounds.last + 1)...(first - 1)) }
            bounds.last = max(bounds.last, last)
            seen[group] = bounds
        }
        for (group, bounds) in seen.sorted(by: { $0.key < $1.key }) {
            let missing = bounds.missing.map { "\($0.lowerBound)..\($0.upperBound)" }
            output.row(
                "indexes",
                [
                    ("group", .number(UInt64(group.rawValue))), ("first", .number(bounds.first)),
                    ("last", .number(bounds.last)), ("missing", .list(missing.map { .text($0) })),
                ],
                "group \(group): indexes \(bounds.first)..\(bounds.last)"
                    + (missing.isEmpty ? ", none missing" : ", missing \(missing.joined(separator: ", "))")
            )
        }
    }
}
