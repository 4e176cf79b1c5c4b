package import KVBase
package import KVEnvironment
package import KVLog
package import KVRaft

/// What one record of the log that all groups share says.
package enum NodeLogRecord: Sendable {
    /// Entries with consecutive indexes, which replace what the group's log had from the first one's index on.
    case entries(GroupID, [Entry])
    /// Term, vote and commit.
    case state(GroupID, HardState)
    /// What each group's state was when the segment began.
    case segmentState([(group: GroupID, state: HardState, cut: LogCut)])
    /// The group's log begins after the cut: what came before is void.
    case reset(GroupID, LogCut)

    /// The record of this kind with these bytes.
    /// - Throws: what is wrong with them; a kind that no node's log holds is `invalid`.
    package init(_ kind: LogRecordKind, _ payload: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(payload)
        switch kind {
        case .raftEntries:
            var run = try EntryRun(payload)
            var entries: [Entry] = []
            while let (header, bytes) = try run.next() {
                entries.append(
                    Entry(
                        index: header.index,
                        term: header.term,
                        kind: header.kind,
                        time: header.time,
                        checksum: header.checksum,
                        payload: Array(bytes)
                    )
                )
            }
            self = .entries(run.group, entries)
            return
        case .raftState:
            let (group, state) = try NodeLogFormat.decodeState(&reader)
            self = .state(group, state)
        case .segmentState:
            self = .segmentState(
                try NodeLogFormat.decodeSegmentState(&reader).map { ($0.0, $0.1.hardState, $0.1.cut) }
            )
        case .raftReset:
            let group = GroupID(try reader.readLittleEndian())
            self = .reset(group, try NodeLogFormat.decodeCut(&reader))
        default: throw .invalid(offset: 0, what: "\(kind) in a node's log")
        }
        guard reader.isAtEnd else {
            throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes too many")
        }
    }
}

/// A node's log as it lies on the disk, read by nobody's leave: for tools.
///
/// Changes nothing. What stands behind damage is not in it.
package struct OfflineNodeLog: Sendable {
    /// The groups, as recovery would find them.
    package let groups: [GroupID: RecoveredLog.Group]
    /// The files and how the log ends.
    package let contents: LogContents
    private let indexes: [GroupID: GroupLogIndex]
    private let fileSystem: any FileSystem
    private let directory: String

    /// The identity that the segments' headers carry in the log of such a node.
    package static func identity(_ node: NodeIdentity) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: node.logCluster.high)
        bytes.append(littleEndian: node.logCluster.low)
        bytes.append(littleEndian: node.node.rawValue)
        bytes.append(littleEndian: node.incarnation.rawValue)
        return bytes
    }

    /// Reads the log in `directory`, to its end or its damage; `cuts` are those of the groups' manifests, where they matter.
    ///
    /// - Throws: `foreign`, `unsupportedVersion`; a record that no owner writes is `damaged`.
    package init(
        _ fileSystem: any FileSystem,
        directory: String,
        identity: [UInt8]? = nil,
        cuts: [GroupID: LogCut] = [:]
    ) throws(LogError) {
        var replay = LogReplay()
        let contents = try LogReader.readSegments(fileSystem, directory: directory, identity: identity) {
            (record) throws(LogError) in try replay.take(record, directory)
        }
        _ = replay.apply(cuts)
        self.contents = contents
        self.fileSystem = fileSystem
        self.directory = directory
        indexes = replay.groups
        groups = replay.groups.mapValues { index in
            RecoveredLog.Group(
                hardState: index.hardState,
                cut: index.cut,
                lastIndex: index.lastIndex,
                lastTerm: index.lastTerm
            )
        }
    }

    /// Hands over a group's entries in force, from `low` through `high`, in order; `body` returns whether to go on.
    /// - Throws: `unavailable` where the log does not hold `low`; `damaged`, `file`.
    package func forEachEntry(
        _ group: GroupID,
        from low: LogIndex,
        through high: LogIndex,
        _ body: (Entry) throws(LogReadError) -> Bool
    ) throws(LogReadError) {
        guard low <= high else { return }
        guard let index = indexes[group],
            let plan = EntryReadPlan(
                fileSystem,
                directory: directory,
                group: group,
                index: index,
                from: low,
                to: high == .max ? high : high + 1
            )
        else { throw .unavailable(low) }
        try plan.forEachEntry(body)
    }
}
