import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVStorage

extension WALReplay {
    /// How far a replay goes.
    package enum ReplayEnd: Equatable, Sendable {
        /// As far as the log says that entries are committed.
        case committed
        /// Through this index.
        case index(UInt64)
        /// Through the last entry whose time is not after this, in milliseconds since 1970.
        case time(UInt64)
    }

    /// What is replayed.
    package struct ReplayOptions: Sendable {
        /// The group; 1 unless given.
        package var group: UInt32 = 1
        /// The shard; all of the group's where nil.
        package var shard: UInt32?
        /// How far.
        package var until = ReplayEnd.committed
        /// Where the log is, if not in the data directory.
        package var logDirectory: String?

        /// Everything of group 1.
        package init() {}
    }

    /// Builds tablets from a copy of a node's tablets and log: each is copied and the log's entries behind it are applied, by the
    /// node's own state machine.
    ///
    /// With a shard, `directory` becomes its tablet; without, it holds a tablet for each shard under the name that it has in the node.
    package func replay(
        _ name: String,
        into directory: String,
        _ options: ReplayOptions,
        _ host: ToolEnvironment
    ) throws(ToolFailure) -> ToolExit {
        let source = try ReplaySource(fileSystem, Paths.trimmed(name), options)
        let chosen = try source.tablets(options.shard)
        let (index, warnings) = try source.lastIndex(options.until, chosen)
        try fileSystem.makeNewDirectory(directory)
        var rows: [[JSONValue]] = []
        for tablet in chosen {
            let target = options.shard == nil ? directory + "/" + tablet.name.directory : directory
            let result = try source.replay(tablet, into: target, through: index, host)
            rows.append([
                .number(UInt64(tablet.name.shard.rawValue)), .text(target), .number(tablet.report.mark.appliedIndex),
                .number(index), .number(result.entries), .number(result.mark.appliedIndex),
                .number(result.mark.revision),
                .text(hexadecimal(result.mark.chainedHash)), .number(result.keys),
            ])
        }
        let verdict = Verdict(
            [],
            tornTails: source.tornTails,
            "\(SSTDump.count(chosen.count, "shard")) of group \(options.group) as of index \(index)"
        )
        output.verdict(verdict)
        for warning in warnings { output.note(warning) }
        output.table(
            "shard",
            ["shard", "tablet", "from", "through", "entries", "applied", "revision", "hash", "keys"],
            rows
        )
        return verdict.exit
    }
}

/// A node's files as a replay reads them.
private struct ReplaySource {
    struct Tablet {
        let name: GroupManifestState.TabletName
        let path: String
        let report: ManifestReport
    }

    struct Replayed {
        let mark: TabletMark
        let entries: UInt64
        let keys: UInt64
    }

    let fileSystem: any FileSystem
    let group: GroupID
    let log: OfflineNodeLog
    let manifest: GroupManifestReport

    init(_ fileSystem: any FileSystem, _ directory: String, _ options: WALReplay.ReplayOptions) throws(ToolFailure) {
        self.fileSystem = fileSystem
        group = GroupID(options.group)
        guard group != .controller else {
            throw ToolFailure(.usage, "group 0 is the controller: it has no shards; use --group 1")
        }
        guard Paths(fileSystem: fileSystem).isDataDirectory(directory) else {
            throw ToolFailure(.inputOutput, "\(directory) is no data directory: neither node.yaml nor groups is in it")
        }
        if fileSystem.exists(directory + "/LOCK") {
            do throws(FileError) { try fileSystem.lock(directory + "/LOCK").release() } catch {
                guard error.reason != .locked else {
                    throw ToolFailure(.inputOutput, "a node has \(directory) open: replay from a copy of it")
                }
            }
        }
        manifest = GroupManifestInspection.read(fileSystem, directory + "/groups/\(group)")
        if let finding = manifest.findings.first { throw Self.failure(finding) }
        do throws(LogError) {
            let cut = LogCut(index: manifest.state?.cutIndex ?? 0, term: manifest.state?.cutTerm ?? 0)
            log = try OfflineNodeLog(
                fileSystem,
                directory: options.logDirectory ?? directory + "/log",
                cuts: [group: cut]
            )
        } catch {
            throw ToolFailure(.damage, "\(error); what still reads: walreplay salvage \(directory)/log --into NEW_LOG")
        }
        if case .inputOutput(let error) = log.contents.verdict { throw ToolFailure(.inputOutput, "\(error)") }
    }

    private static func failure(_ finding: InspectionFinding) -> ToolFailure {
        ToolFailure(finding.isInputOutput ? .inputOutput : .damage, "\(finding)")
    }

    var tornTails: [String] {
        if case .tornTail(let place) = log.contents.verdict { ["\(place)"] } else { [] }
    }

    /// The tablets that are asked for, each checked to its last byte.
    func tablets(_ shard: UInt32?) throws(ToolFailure) -> [Tablet] {
        let names = (manifest.state?.tablets ?? []).filter { shard == nil || $0.shard.rawValue == shard }
            .sorted { $0.shard < $1.shard }
        guard !names.isEmpty else {
            throw ToolFailure(.usage, "group \(group) has no \(shard.map { "shard \($0)" } ?? "shards") on this node")
        }
        let directory = parentDirectory(of: manifest.path)
        var tablets: [Tablet] = []
        for name in names {
            let path = directory + "/" + name.directory
            var report = ManifestReport()
            if ManifestInspection.isTablet(fileSystem, path) {
                report = ManifestInspection.read(fileSystem, path)
                let whole = TabletInspection.verify(fileSystem, path)
                if let finding = whole.findings.first { throw Self.failure(finding) }
            } else if manifest.state?.cutIndex != 0 {
                throw ToolFailure(.damage, "\(path): the tablet is missing; the log no longer holds all of it")
            }
            if report.path == nil { report.mark.epoch = name.epoch }
            tablets.append(Tablet(name: name, path: path, report: report))
        }
        return tablets
    }

    /// Through which index to go, and what to know about that.
    func lastIndex(
        _ end: WALReplay.ReplayEnd,
        _ tablets: [Tablet]
    ) throws(ToolFailure) -> (LogIndex, [String]) {
        let held = max(tablets.map(\.report.mark.appliedIndex).max() ?? 0, manifest.state?.cutIndex ?? 0)
        let state = log.groups[group]
        let logEnd = max(state?.lastIndex ?? 0, held)
        let committed = max(held, min(state?.hardState.commit ?? 0, logEnd))
        var notes: [String] = []
        var index: LogIndex
        switch end {
        case .committed: index = committed
        case .index(let wanted): index = wanted
        case .time(let time): index = try lastIndex(at: time, held, logEnd)
        }
        guard index >= held else {
            throw ToolFailure(
                .usage,
                "the tablets hold index \(held) already: a replay can go through \(held) or any later index, up to \(logEnd)"
            )
        }
        guard index <= logEnd else {
            let why = log.contents.verdict.isUsable ? "" : ", where it is damaged: \(log.contents.verdict)"
            throw ToolFailure(
                log.contents.verdict.isUsable ? .usage : .damage,
                "the log of group \(group) ends at index \(logEnd)\(why); a replay can go from \(held) through \(logEnd)"
            )
        }
        if !log.contents.verdict.isUsable {
            guard end != .committed else {
                throw ToolFailure(
                    .damage,
                    "\(log.contents.verdict); entries before it can be replayed: --until \(logEnd) or less"
                )
            }
            notes.append("the log is damaged behind what was replayed: \(log.contents.verdict)")
        }
        if index > committed {
            notes.append(
                "the log says that entries through \(committed) are committed; whether those behind it are, only the cluster knows"
            )
        }
        return (index, notes)
    }

    private func lastIndex(at time: UInt64, _ held: LogIndex, _ logEnd: LogIndex) throws(ToolFailure) -> LogIndex {
        var index = held
        var isBefore = false
        do throws(LogReadError) {
            try log.forEachEntry(group, from: held + 1, through: logEnd) { entry throws(LogReadError) in
                guard entry.time <= time else { return false }
                index = entry.index
                isBefore = true
                return true
            }
        } catch {
            guard held < logEnd else { return held }
            throw ToolFailure(.damage, "the log of group \(group) from index \(held + 1): \(error)")
        }
        // Nothing behind the tablets is that old: then they may be younger themselves.
        if !isBefore, let mark = manifestTime, mark > time {
            throw ToolFailure(
                .usage,
                "the tablets hold entries of time \(mark) already: a replay can go to that time or a later one"
            )
        }
        return index
    }

    private var manifestTime: UInt64? {
        let directory = parentDirectory(of: manifest.path)
        return manifest.state?.tablets.map {
            ManifestInspection.read(fileSystem, directory + "/" + $0.directory).mark.loggedTime
        }.max()
    }

    func replay(
        _ source: Tablet,
        into directory: String,
        through index: LogIndex,
        _ host: ToolEnvironment
    ) throws(ToolFailure) -> Replayed {
        let mark = source.report.mark
        do {
            try fileSystem.createDirectory(directory)
            let exists = source.report.path != nil
            if exists { try copy(source, to: directory) }
            let offline = try OfflineTablet(host, directory: directory, mark: mark, creates: !exists)
            let replay = TabletReplay(offline.tablet, shard: source.name.shard, epoch: source.name.epoch) {
                offline.pool.runAll()
            }
            var entries: UInt64 = 0
            var failure: ApplyError?
            // Through the group's cut every tablet has what concerns it, though its mark may be older.
            let held = max(mark.appliedIndex, manifest.state?.cutIndex ?? 0)
            if held < index {
                try log.forEachEntry(group, from: held + 1, through: index) { entry throws(LogReadError) in
                    do throws(ApplyError) {
                        guard entry.holdsChecksum(group: group) else {
                            throw ApplyError.unreadableEntry(
                                index: entry.index,
                                .invalid(offset: 0, what: "its checksum does not fit")
                            )
                        }
                        try replay.apply(entry)
                        entries += 1
                        return true
                    } catch {
                        failure = error
                        return false
                    }
                }
            }
            if let failure { throw failure }
            try offline.finish()
            return Replayed(mark: replay.mark, entries: entries, keys: countKeys(directory))
        } catch let error as LogReadError {
            let first = (log.groups[group]?.cut.index ?? 0) + 1
            throw ToolFailure(
                .damage,
                "shard \(source.name.shard) holds index \(mark.appliedIndex), the log of group \(group) begins at \(first): \(error)"
            )
        } catch {
            throw ToolFailure(.inputOutput, "replay of shard \(source.name.shard) into \(directory): \(error)")
        }
    }

    private func copy(_ source: Tablet, to directory: String) throws {
        guard let manifest = source.report.path else { return }
        let names =
            source.report.tables.map(\.name)
            + ["CURRENT", fileName(of: manifest)]
        for name in names { try fileSystem.copyFile(source.path + "/" + name, to: directory + "/" + name) }
        try fileSystem.synchronizeDirectory(directory)
    }

    /// How many users' keys a reader of the new tablet sees.
    private func countKeys(_ directory: String) -> UInt64 {
        var keys: UInt64 = 0
        var merge = TableMerge(Paths(fileSystem: fileSystem).tablet(directory).inspectors)
        while let key = merge.next() {
            if case .user = StoredKey(key.key), key.visible != nil { keys += 1 }
        }
        return keys
    }
}
