package import KVBase
package import KVEnvironment
package import KVLog
package import KVRaft

/// Through where a group's manifest says that its tablets hold everything.
package struct ManifestCut: Equatable, Sendable {
    /// The place.
    package var cut: LogCut
    /// Whether a snapshot that was installed made it so: then the log may end before it, and is void.
    package var isInstalled: Bool

    /// A cut.
    package init(_ cut: LogCut, isInstalled: Bool = false) {
        self.cut = cut
        self.isInstalled = isInstalled
    }
}

/// What a node's log held when it was opened.
package struct RecoveredLog: Sendable {
    /// What one group's log held.
    package struct Group: Sendable, Equatable {
        /// Term, vote and commit; the commit may be past the last entry where entries were cut or a snapshot came.
        package var hardState: HardState
        /// Where the log begins.
        package var cut: LogCut
        /// The last entry's index; the cut's where there is none.
        package var lastIndex: LogIndex
        /// The last entry's term; the cut's where there is none.
        package var lastTerm: Term
    }

    /// The groups that the log knows of.
    package var groups: [GroupID: Group]
    /// How the log ended.
    package var verdict: LogVerdict
    /// The segments that were read.
    package var segments: [LogSegment]

    /// Where a tail was cut: no group on this node votes until it has met its leader's log.
    ///
    /// Nil where none was.
    package var tornTail: LogPlace? {
        if case .tornTail(let place) = verdict { place } else { nil }
    }
}

extension NodeLog {
    /// Opens the log in `directory`, made if absent: reads all of it, begins a new segment and returns what was found.
    ///
    /// `cuts` are those of the groups' manifests. Where a group's log ends before its manifest's cut, or has another term there, and a
    /// snapshot made that cut, its installation was under way: the log of that group is voided. Where no snapshot did, the cut was in
    /// the log once: entries are lost, and ones behind it that were acknowledged may be.
    /// - Throws: `damaged` where the log cannot be believed (every group on this node stops voting), `foreign`,
    ///   `unsupportedVersion`, `file`, `segmentUnavailable`.
    package static func open(
        _ fileSystem: any FileSystem,
        directory: String,
        identity: [UInt8],
        home: any Scheduler,
        lane: any Scheduler,
        pool: any WorkerPool,
        options: NodeLogOptions = NodeLogOptions(),
        cuts: [GroupID: ManifestCut] = [:]
    ) throws(LogError) -> (log: NodeLog, recovered: RecoveredLog) {
        try prepareDirectory(fileSystem, directory)
        var replay = LogReplay()
        let contents = try LogReader.readSegments(fileSystem, directory: directory, identity: identity) {
            (record) throws(LogError) in try replay.take(record, directory)
        }
        guard contents.verdict.isUsable else { throw .damaged(contents.verdict) }
        replay.segments.adopt(contents)
        if let loss = replay.loss(cuts) { throw .damaged(contents.verdict.lost(loss)) }
        let voided = replay.apply(cuts.mapValues(\.cut))

        let reference = WeakNodeLog()
        let preparer = SegmentPreparer(
            fileSystem,
            directory: directory,
            segmentBytes: options.segmentBytes,
            pool: pool
        ) { error in
            home.execute { reference.log?.spaceChanged(error) }
        }
        let writer = try LogWriter.open(
            fileSystem,
            directory: directory,
            identity: identity,
            segmentBytes: options.segmentBytes,
            after: contents,
            preparer: preparer,
            bypassesCache: true
        )
        // Each new segment begins with a record of the log's own.
        writer.rollsByItself = false
        let states = replay.groups.mapValues { GroupLogState(hardState: $0.hardState, cut: $0.cut) }
        try writer.append(.segmentState, NodeLogFormat.encodeSegmentState(states))
        for group in voided.sorted() {
            let cut = replay.groups[group]?.cut ?? LogCut()
            try writer.append(.raftReset, NodeLogFormat.encodeReset(group, cut))
            replay.segments.forget(group)
        }
        try writer.sync()
        replay.segments.begin(writer.number, start: writer.start)
        replay.segments.opened(writer.number)
        replay.segments.extend(to: writer.position)

        let log = NodeLog(
            fileSystem: fileSystem,
            directory: directory,
            home: home,
            pool: pool,
            options: options,
            preparer: preparer,
            groups: replay.groups,
            segments: replay.segments,
            events: NodeLogEvents()
        )
        reference.log = log
        log.start(lane: lane, writer: writer, states: states)
        let groups = replay.groups.map { group, index in
            (
                group,
                RecoveredLog.Group(
                    hardState: index.hardState,
                    cut: index.cut,
                    lastIndex: index.lastIndex,
                    lastTerm: index.lastTerm
                )
            )
        }
        let recovered = RecoveredLog(
            groups: Dictionary(uniqueKeysWithValues: groups),
            verdict: contents.verdict,
            segments: contents.segments
        )
        return (log, recovered)
    }

    /// Makes the directory durable and removes files that were in the making.
    private static func prepareDirectory(_ fileSystem: any FileSystem, _ directory: String) throws(LogError) {
        do throws(FileError) {
            try makeDurable(directory, fileSystem)
            for name in try fileSystem.list(directory) where name.hasSuffix(LogFormat.temporarySuffix) {
                try fileSystem.remove(directory + "/" + name)
            }
            try fileSystem.synchronizeDirectory(directory)
        } catch {
            throw .file(error)
        }
    }
}

/// Makes a directory, and its parents where they are absent, and syncs each name that may be new.
private func makeDurable(_ directory: String, _ fileSystem: any FileSystem) throws(FileError) {
    let parent = parentDirectory(of: directory)
    if parent != directory && !fileSystem.exists(parent) { try makeDurable(parent, fileSystem) }
    try fileSystem.createDirectory(directory)
    // Synced even where it exists: a process that ended in between may have left it so.
    try fileSystem.synchronizeDirectory(parent)
}

/// Lets the preparer's callback name the log that is made after it.
// SENDABLE: written once, before `open` returns; read on the home scheduler, later.
private final class WeakNodeLog: @unchecked Sendable {
    weak var log: NodeLog?
}

/// Puts what the records say together, in their order.
struct LogReplay {
    var groups: [GroupID: GroupLogIndex] = [:]
    var segments = NodeLogSegments()

    mutating func take(_ record: LogRecord, _ directory: String) throws(LogError) {
        if segments.segments.last?.number != record.place.number {
            segments.begin(record.place.number, start: record.place.position)
        }
        do throws(DecodingError) {
            try apply(record)
        } catch {
            let path = directory + "/" + LogFormat.segmentName(record.place.number)
            let place = LogPlace(path: path, offset: record.place.offset, position: record.place.position)
            throw .damaged(.corruption(place, provenDurableThrough: record.place.position, .badRecord))
        }
    }

    mutating func apply(_ record: LogRecord) throws(DecodingError) {
        var reader = ByteReader(record.payload)
        switch record.kind {
        case .raftEntries:
            var run = try EntryRun(record.payload)
            var terms: [(first: LogIndex, term: Term)] = []
            while let (header, _) = try run.next() {
                if terms.last?.term != header.term { terms.append((first: header.index, term: header.term)) }
            }
            let replaced = groups[run.group, default: GroupLogIndex()]
                .append(first: run.first, last: run.last, terms: terms, at: record.place)
            segments.note(run.group, last: run.last, in: record.place.number, replacing: replaced)
        case .raftState:
            let (group, state) = try NodeLogFormat.decodeState(&reader)
            groups[group, default: GroupLogIndex()].set(state)
        case .segmentState:
            for (group, state) in try NodeLogFormat.decodeSegmentState(&reader) {
                groups[group, default: GroupLogIndex()].set(state.hardState)
                groups[group, default: GroupLogIndex()].advance(to: state.cut)
            }
        case .raftReset:
            let group = GroupID(try reader.readLittleEndian())
            groups[group, default: GroupLogIndex()].begin(after: try NodeLogFormat.decodeCut(&reader))
            segments.forget(group)
        default:
            throw .invalid(offset: 0, what: "\(record.kind) in a node's log")
        }
        guard reader.isAtEnd || record.kind == .raftEntries else {
            throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes too many")
        }
    }

    /// What the log lost, by the word of the groups' manifests; nil where it holds what it has to.
    func loss(_ cuts: [GroupID: ManifestCut]) -> LogDamage? {
        for (group, known) in cuts.sorted(by: { $0.key < $1.key }) where !known.isInstalled && known.cut.index > 0 {
            let last = groups[group]?.lastIndex ?? 0
            if last < known.cut.index {
                return .missingEntries(group: group.rawValue, last: last, expected: known.cut.index)
            }
            let term = groups[group]?.term(at: known.cut.index)
            if let term, term != 0, term != known.cut.term {
                return .otherTerm(group: group.rawValue, index: known.cut.index, expected: known.cut.term, found: term)
            }
        }
        return nil
    }

    /// Brings the groups to their manifests' cuts; returns those whose entries are void.
    mutating func apply(_ cuts: [GroupID: LogCut]) -> Set<GroupID> {
        var voided: Set<GroupID> = []
        for (group, cut) in cuts {
            var index = groups[group] ?? GroupLogIndex()
            let known = index.term(at: cut.index) ?? 0
            let isOther = known != 0 && known != cut.term
            if index.lastIndex < cut.index || isOther {
                index.begin(after: cut)
                voided.insert(group)
            } else {
                index.advance(to: cut)
            }
            groups[group] = index
        }
        return voided
    }
}

extension LogVerdict {
    /// The verdict over a log that ends like this although more was in it.
    func lost(_ damage: LogDamage) -> LogVerdict {
        guard case .cleanEnd(let place, _) = self else {
            guard case .tornTail(let place) = self else { return self }
            return .corruption(place, provenDurableThrough: place.position, damage)
        }
        return .corruption(place, provenDurableThrough: place.position, damage)
    }
}
