import KVEnvironment
import KVLog

extension WALReplay {
    /// Cuts one file of a log behind a record, and takes the segments behind it out of the log; a backup of everything stays.
    ///
    /// 1. `at` must be where a record ends (or the header): in a file its offset, in a directory the position over the whole log.
    /// 2. Without `writes` it only says what would go. 3. The file is copied beside itself and synced, later segments are renamed,
    /// newest first, and then the file is cut. Where a node has the directory open, nothing is done.
    package func truncate(_ name: String, at: UInt64, writes: Bool) throws(ToolFailure) -> ToolExit {
        let path = Paths.trimmed(name)
        try paths.check(path)
        let plan = try cutPlan(path, at)
        let lost = plan.recordsBehind + plan.later.reduce(0) { $0 + $1.recordCount }
        let proven = max(plan.file.provenThrough, plan.later.map(\.provenThrough).max() ?? 0)
        let cut = (plan.file.header?.start ?? 0) + plan.offset
        var what = "\(lost) readable records and \(plan.later.count) later files"
        if proven > cut {
            what += ", \(proven - cut) bytes of which were proven durable: acknowledged writes may be among them"
        }
        guard writes else {
            output.verdict(
                Verdict(.ok, "nothing was written; a cut of \(plan.file.path) at \(plan.offset) loses \(what)")
            )
            output.note("to do it: walreplay truncate \(path) --at \(at) --write")
            return .ok
        }
        let locks = try takeLocks(plan.file.path)
        defer { for lock in locks { lock.release() } }
        let backups: [String]
        do throws(FileError) { backups = try perform(plan) } catch {
            throw ToolFailure(.inputOutput, "\(error); nothing is lost, the backups stand beside the files")
        }
        output.verdict(Verdict(.ok, "\(plan.file.path) ends at \(plan.offset); gone: \(what)"))
        for backup in backups { output.row("backup", [("file", .text(backup))], "backup \(backup)") }
        output.note(
            "a node that lost part of its log must not vote with what is left: use the cut log for reading, or replace the node"
        )
        return .ok
    }

    private struct CutPlan {
        let file: LogFileReport
        /// Where the file will end.
        let offset: UInt64
        let recordsBehind: UInt64
        let later: [LogFileReport]
    }

    private func cutPlan(_ path: String, _ at: UInt64) throws(ToolFailure) -> CutPlan {
        var starts: [String: [UInt64]] = [:]
        let isDirectory = paths.isDirectory(path)
        let target = isDirectory ? path : segmentDirectory(of: path) ?? path
        let files = try paths.logs([target]) { file, record in starts[file, default: []].append(record.place.offset) }
            .flatMap(\.files)
        let chosen = files.lastIndex { file in
            if !isDirectory { return file.path == path || files.count == 1 }
            return (file.header?.start ?? .max) <= at
        }
        guard let chosen, let header = files[chosen].header else {
            throw ToolFailure(.inputOutput, "no file of \(path) with a header that reads holds position \(at)")
        }
        let file = files[chosen]
        let offset = isDirectory ? at - header.start : at
        let records = starts[file.path] ?? []
        // A record ends where the next begins, or at the end of what reads; the first begins where the header ends.
        let ends = Set(records + [file.length])
        guard ends.contains(offset) else {
            let before = ends.filter { $0 < offset }.max().map { "\($0)" } ?? "none"
            let after = ends.filter { $0 > offset }.min().map { "\($0)" } ?? "none"
            throw ToolFailure(
                .usage,
                "offset \(offset) of \(file.path) is not between two records: the nearest before is \(before), behind \(after)"
            )
        }
        return CutPlan(
            file: file,
            offset: offset,
            recordsBehind: UInt64(records.count { $0 >= offset }),
            later: Array(files[(chosen + 1)...])
        )
    }

    /// The directory of a segment; nil for another file.
    private func segmentDirectory(of path: String) -> String? {
        let name = fileName(of: path)
        return LogFormat.segmentNumber(name) == nil ? nil : parentDirectory(of: path)
    }

    /// Takes the locks of the data directories that the file may belong to, so that no node opens them meanwhile.
    private func takeLocks(_ path: String) throws(ToolFailure) -> [any FileLock] {
        var locks: [any FileLock] = []
        var directory = parentDirectory(of: path)
        for _ in 0..<4 {
            if fileSystem.exists(directory + "/LOCK") {
                do throws(FileError) { locks.append(try fileSystem.lock(directory + "/LOCK")) } catch {
                    for lock in locks { lock.release() }
                    throw ToolFailure(
                        .inputOutput,
                        "\(directory) is open in a node, or cannot be locked: \(error); stop the node"
                    )
                }
            }
            let parent = parentDirectory(of: directory)
            if parent == directory { break }
            directory = parent
        }
        return locks
    }

    private func perform(_ plan: CutPlan) throws(FileError) -> [String] {
        let directory = parentDirectory(of: plan.file.path)
        var backups = [unusedName(plan.file.path)]
        try fileSystem.copyFile(plan.file.path, to: backups[0])
        try fileSystem.synchronizeDirectory(directory)
        for file in plan.later.reversed() {
            let backup = unusedName(file.path)
            try fileSystem.rename(file.path, to: backup)
            try fileSystem.synchronizeDirectory(directory)
            backups.append(backup)
        }
        let file = try fileSystem.open(plan.file.path, .readWrite)
        defer { file.close() }
        try file.truncate(to: plan.offset)
        try file.synchronize()
        return backups
    }

    private func unusedName(_ path: String) -> String {
        var number = 1
        while fileSystem.exists("\(path).backup-\(number)") { number += 1 }
        return "\(path).backup-\(number)"
    }
}
