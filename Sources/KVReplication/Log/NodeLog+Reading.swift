package import KVBase
package import KVEnvironment
package import KVLog
package import KVRaft

/// Why old entries could not be read.
package enum LogReadError: Error, Equatable, Sendable {
    /// The log does not have the index any more, or not yet.
    case unavailable(LogIndex)
    /// The bytes are not what was written.
    case damaged(LogPlace)
    /// The disk could not be read.
    case file(FileError)
}

extension NodeLog {
    /// Reads durable entries from `low` up to but not including `high`, at least one, then as many as fit in `bytesMax`.
    ///
    /// The work is done on the worker pool; `completion` runs on the home scheduler. An entry that is overwritten
    /// meanwhile may come in its old form: whoever asks compares terms.
    package func read(
        _ group: GroupID,
        from low: LogIndex,
        to high: LogIndex,
        bytesMax: Int,
        completion: @escaping @Sendable (Result<[Entry], LogReadError>) -> Void
    ) {
        home.preconditionIsCurrent("the node's log")
        guard let plan = readPlan(group, from: low, to: high) else {
            return home.execute { completion(.failure(.unavailable(low))) }
        }
        let home = home
        pool.submit {
            var entries: [Entry] = []
            var bytes = 0
            let result: Result<[Entry], LogReadError>
            do throws(LogReadError) {
                try plan.forEachEntry { entry throws(LogReadError) in
                    if !entries.isEmpty && bytes + entry.size > bytesMax { return false }
                    bytes += entry.size
                    entries.append(entry)
                    return true
                }
                result = .success(entries)
            } catch {
                result = .failure(error)
            }
            home.execute { completion(result) }
        }
    }

    /// Reads durable entries from `low` to the end of the group's log, here and now; for recovery.
    ///
    /// `body` returns whether to go on.
    package func forEachEntry(
        _ group: GroupID,
        from low: LogIndex,
        _ body: (Entry) throws(LogReadError) -> Bool
    ) throws(LogReadError) {
        guard let index = groups[group], low <= index.lastIndex else { return }
        guard let plan = readPlan(group, from: low, to: index.lastIndex + 1) else { throw .unavailable(low) }
        try plan.forEachEntry(body)
    }

    private func readPlan(_ group: GroupID, from low: LogIndex, to high: LogIndex) -> EntryReadPlan? {
        guard let index = groups[group] else { return nil }
        return EntryReadPlan(fileSystem, directory: directory, group: group, index: index, from: low, to: high)
    }
}

/// Where to read entries, made on the home scheduler and carried out on any thread.
struct EntryReadPlan: Sendable {
    struct Step: Sendable {
        let from: LogIndex
        let through: LogIndex
        let place: LogRecordPlace
    }

    let fileSystem: any FileSystem
    let directory: String
    let group: GroupID
    let steps: [Step]

    /// A plan for the entries from `low` up to but not including `high`, as far as there are; nil where `low` is not there.
    init?(
        _ fileSystem: any FileSystem,
        directory: String,
        group: GroupID,
        index: GroupLogIndex,
        from low: LogIndex,
        to high: LogIndex
    ) {
        guard low >= index.firstIndex, low <= index.lastIndex, low < high else { return nil }
        let end = min(high, index.lastIndex + 1)
        var steps: [Step] = []
        var next = low
        while next < end {
            guard let (place, through) = index.place(for: next) else { return nil }
            steps.append(Step(from: next, through: min(through, end - 1), place: place.record))
            next = through + 1
        }
        self.fileSystem = fileSystem
        self.directory = directory
        self.group = group
        self.steps = steps
    }

    func forEachEntry(_ body: (Entry) throws(LogReadError) -> Bool) throws(LogReadError) {
        var reader: LogSegmentReader?
        var openNumber: UInt32 = 0
        for step in steps {
            if step.place.number != openNumber || reader == nil {
                reader = try open(step)
                openNumber = step.place.number
            }
            guard let reader else { throw .unavailable(step.from) }
            guard try read(step, reader, body) else { return }
        }
    }

    private func open(_ step: Step) throws(LogReadError) -> LogSegmentReader {
        let path = directory + "/" + LogFormat.segmentName(step.place.number)
        do throws(FileError) {
            let reader = try LogSegmentReader(
                try fileSystem.open(path, .read),
                number: step.place.number,
                windowBlocks: 2
            )
            reader.start = step.place.position - step.place.offset
            return reader
        } catch {
            // It was dropped since: what a follower needs of it comes as a snapshot.
            if error.reason == .notFound { throw .unavailable(step.from) }
            throw .file(error)
        }
    }

    /// Reads one step's entries; false where the caller has enough.
    private func read(
        _ step: Step,
        _ reader: LogSegmentReader,
        _ body: (Entry) throws(LogReadError) -> Bool
    ) throws(LogReadError) -> Bool {
        let path = directory + "/" + LogFormat.segmentName(step.place.number)
        func damage() -> LogReadError {
            .damaged(LogPlace(path: path, offset: reader.recordOffset, position: reader.start + reader.recordOffset))
        }
        do { try reader.seek(to: step.place.offset) } catch { throw .file(error) }
        var next = step.from
        while next <= step.through {
            guard reader.next() else {
                if case .inputOutput(let error) = reader.verdict { throw .file(error) }
                throw damage()
            }
            guard reader.kind == .raftEntries else { continue }
            var run: EntryRun
            do throws(DecodingError) { run = try EntryRun(reader.payload) } catch { throw damage() }
            guard run.group == group, run.first <= next, run.last >= next else { continue }
            while next <= step.through {
                let found: (header: EntryRun.Header, payload: UnsafeRawBufferPointer)?
                do throws(DecodingError) { found = try run.next() } catch { throw damage() }
                guard let (header, payload) = found else { break }
                guard header.index == next else { continue }
                next += 1
                let entry = Entry(
                    index: header.index,
                    term: header.term,
                    kind: header.kind,
                    time: header.time,
                    checksum: header.checksum,
                    payload: Array(payload)
                )
                guard try body(entry) else { return false }
            }
        }
        return true
    }
}
