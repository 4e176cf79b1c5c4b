import KVEnvironment
import KVStorage

extension SSTDump {
    /// Writes what a reader would see of everything that still reads into a new tablet.
    ///
    /// A block that does not read may have held a newer value, or a deletion, of any key between its bounds: these keys are told.
    package func salvage(
        _ names: [String],
        into directory: String,
        _ host: ToolEnvironment
    ) throws(ToolFailure) -> ToolExit {
        let targets = try paths.targets(names)
        guard targets.count(where: { $0.directory != nil }) <= 1 else {
            throw ToolFailure(.usage, "several tablets: their sequences do not compare; salvage one at a time")
        }
        try fileSystem.makeNewDirectory(directory)
        let manifest = targets.compactMap(\.manifest).first
        var keys = 0
        do throws(StorageError) {
            let tablet = try OfflineTablet(
                host,
                directory: directory,
                mark: manifest?.mark ?? TabletMark(),
                creates: true
            )
            let mark = tablet.tablet.mark
            var merge = TableMerge(targets.flatMap(\.inspectors))
            var batch = WriteBatch()
            var bytes = 0
            while let key = merge.next() {
                guard let entry = key.visible else { continue }
                batch.put(entry.key, entry.value)
                keys += 1
                bytes += entry.key.count + entry.value.count
                guard bytes >= OfflineTablet.batchBytes else { continue }
                try tablet.write(batch, mark: mark)
                tablet.pool.runAll()
                batch.removeAll()
                bytes = 0
            }
            try tablet.write(batch, mark: mark)
            try tablet.finish()
        } catch {
            throw ToolFailure(.inputOutput, "\(directory) cannot be written: \(error)")
        }
        let findings = targets.flatMap(\.findings)
        let verdict = Verdict(findings, "\(keys) keys are in \(directory)")
        output.verdict(verdict)
        output.row(
            "salvaged",
            [("directory", .text(directory)), ("keys", .count(keys)), ("findings", .count(findings.count))],
            "\(keys) keys are in \(directory)"
        )
        for target in targets {
            for table in target.inspectors where !table.knowsRanges {
                output.note("range deletions of \(table.path) do not read: keys that they deleted may be back")
            }
            if let directory = target.directory, fileSystem.exists(OwnLogInspection.directory(of: directory)) {
                output.note("\(directory)/log was not read into it: walreplay salvage \(directory)/log")
            }
        }
        if findings.contains(where: { $0.part?.hasPrefix("data block") == true }) {
            output.note(
                "keys between the bounds of a block that does not read may be missing, old, or deleted ones come back; the bounds follow"
            )
        }
        output.findings(findings.advised())
        return verdict.exit
    }
}
