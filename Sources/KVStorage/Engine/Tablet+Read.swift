import Synchronization

extension Tablet {
    /// Looks a key up, as of `snapshot` or now, and gives `body` what it found, without a copy.
    ///
    /// Any thread. With `memoryOnly` it never reads the disk: where memory does not tell, `body` gets `.needsDisk`.
    /// - Throws: `file`, `corruption` where a block that the answer depends on cannot be read.
    package func get<R>(
        _ key: UnsafeRawBufferPointer,
        at snapshot: Snapshot? = nil,
        memoryOnly: Bool = false,
        _ body: (GetResult) -> R
    ) throws(StorageError) -> R {
        let key = ByteView(key)
        // The view first: everything in it is at or before the sequence that is read after, or invisible to both.
        let view = currentView
        let sequence = snapshot?.sequence ?? visible.load(ordering: .acquiring)
        let seekTag = EntryTag.seek(sequence)
        let hash = hashKey(key)
        var cover: UInt64 = 0
        for memtable in view.memtables {
            if let ranges = memtable.rangeTombstones { cover = max(cover, ranges.newestCovering(key, at: sequence)) }
            let node = memtable.list.find(key, hash, seekTag)
            if node != 0 {
                let tag = memtable.list.tag(node)
                if EntryTag.kind(tag) != EntryKind.put || EntryTag.sequence(tag) < cover { return body(.absent) }
                let value = memtable.list.value(node)
                return withExtendedLifetime(view) { body(.found(value.buffer)) }
            }
            if cover > 0 { return body(.absent) }
        }
        do throws(StorageError) {
            return try search(view.version, key, hash, seekTag, cover: cover, memoryOnly: memoryOnly, body)
        } catch {
            noteReadError(error)
            throw error
        }
    }

    private func search<R>(
        _ version: Version,
        _ key: ByteView,
        _ hash: UInt64,
        _ seekTag: UInt64,
        cover: UInt64,
        memoryOnly: Bool,
        _ body: (GetResult) -> R
    ) throws(StorageError) -> R {
        let sequence = EntryTag.sequence(seekTag)
        for number in 0..<Version.levelCount {
            let level = version.levels[number]
            var position = 0
            var end = level.files.count
            if end == 0 { continue }
            if number > 0 {
                position = level.firstNotBefore(key)
                end = min(end, position + 1)
            }
            while position < end {
                defer { position += 1 }
                guard level.mayHold(position, key) else { continue }
                guard let reader = try level.files[position].open(memoryOnly: memoryOnly) else {
                    return body(.needsDisk)
                }
                let covered = reader.ranges?.newestCovering(key, at: sequence) ?? 0
                switch try reader.find(key, hash, seekTag, memoryOnly: memoryOnly) {
                case .absent: break
                case .needsDisk: return body(.needsDisk)
                case .found(let tag, let value, let pin):
                    if EntryTag.kind(tag) != EntryKind.put || EntryTag.sequence(tag) < covered {
                        return body(.absent)
                    }
                    return withExtendedLifetime(pin) { body(.found(value.buffer)) }
                }
                if covered > 0 { return body(.absent) }
            }
        }
        return body(.absent)
    }

    /// Looks a key up and copies its value; nil where it is absent.
    ///
    /// Any thread.
    package func get(_ key: [UInt8], at snapshot: Snapshot? = nil) throws(StorageError) -> [UInt8]? {
        try key.withUnsafeBufferPointer { (bytes) throws(StorageError) -> [UInt8]? in
            try get(UnsafeRawBufferPointer(bytes), at: snapshot) { result in
                if case .found(let value) = result { return [UInt8](value) }
                return nil
            }
        }
    }

    /// A moment that reads can go back to while the object lives: now.
    ///
    /// Any thread.
    package func snapshot() -> Snapshot {
        snapshots.make { visible.load(ordering: .acquiring) }
    }

    /// A cursor over the keys in `lower ..< upper` (nil: without bound), as of `snapshot` or now.
    ///
    /// It stands nowhere before a seek. Any thread may make one; one thread at a time uses it. Moves may read the
    /// disk.
    /// - Throws: `file`, `corruption` where a table cannot be opened.
    package func makeIterator(
        _ snapshot: Snapshot? = nil,
        lower: [UInt8]? = nil,
        upper: [UInt8]? = nil,
        fillCache: Bool = true
    ) throws(StorageError) -> TabletIterator {
        let view = currentView
        let sequence = snapshot?.sequence ?? visible.load(ordering: .acquiring)
        return try TabletIterator(
            view,
            of: self,
            snapshot: snapshot,
            sequence: sequence,
            lower: lower,
            upper: upper,
            fillCache: fillCache
        )
    }

    /// A cursor over the keys that begin with `prefix`, as of `snapshot` or now.
    ///
    /// As the other `makeIterator`.
    package func makeIterator(
        _ snapshot: Snapshot? = nil,
        prefix: [UInt8],
        fillCache: Bool = true
    ) throws(StorageError) -> TabletIterator {
        try makeIterator(snapshot, lower: prefix, upper: KeyPrefix.end(of: prefix), fillCache: fillCache)
    }

    /// A read met bytes that are not what was written: the tablet says so from now on.
    func noteReadError(_ error: StorageError) {
        guard case .corruption = error else { return }
        enter(.damaged(error))
    }
}

/// Bounds of the keys that begin alike.
enum KeyPrefix {
    /// The first key after all that begin with `prefix`; nil where none is.
    static func end(of prefix: [UInt8]) -> [UInt8]? {
        guard let last = prefix.lastIndex(where: { $0 < 0xff }) else { return nil }
        return Array(prefix[..<last]) + [prefix[last] + 1]
    }
}
