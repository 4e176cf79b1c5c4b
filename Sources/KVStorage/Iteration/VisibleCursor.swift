/// What a reader at one sequence sees of a merge: of each key the newest version that is not too new, unless it is a
/// deletion or a range deletion covers it; between two bounds.
///
/// Walking back collects: versions of a key come oldest first, so the last visible one before the key changes is the
/// answer, and key and value are kept in buffers here. Walking forward the merge itself stands on the answer.
final class VisibleCursor {
    private let merge: MergeCursor
    private let sequence: UInt64
    private let ranges: RangeTombstoneSet?
    private let lower: [UInt8]?
    private let upper: [UInt8]?
    private let savedKey = GrowBuffer(capacity: 0)
    private let savedValue = GrowBuffer(capacity: 0)
    private var isForward = true
    private(set) var isValid = false

    init(
        _ merge: MergeCursor,
        sequence: UInt64,
        ranges: RangeTombstoneSet?,
        lower: [UInt8]?,
        upper: [UInt8]?
    ) {
        self.merge = merge
        self.sequence = sequence
        self.ranges = ranges
        self.lower = lower
        self.upper = upper
    }

    var key: ByteView { isForward ? merge.key : savedKey.view }
    var value: ByteView { isForward ? merge.value : savedValue.view }

    func seekToFirst() throws(StorageError) {
        isValid = false
        isForward = true
        if let lower {
            try lower.withView { (view) throws(StorageError) in try merge.seek(view, .max) }
        } else {
            try merge.seekToFirst()
        }
        savedKey.removeAll()
        try settleForward(skippingSaved: false)
    }

    func seekToLast() throws(StorageError) {
        isValid = false
        isForward = false
        if let upper {
            try upper.withView { (view) throws(StorageError) in try merge.seekBefore(view, .max) }
        } else {
            try merge.seekToLast()
        }
        try settleBackward()
    }

    /// The first key not before `key`.
    func seek(_ key: ByteView) throws(StorageError) {
        if let lower, lower.withView({ compareBytes(key, $0) }) < 0 { return try seekToFirst() }
        isValid = false
        isForward = true
        try merge.seek(key, EntryTag.seek(sequence))
        try settleForward(skippingSaved: false)
    }

    /// The last key not after `key`.
    func seekForPrevious(_ key: ByteView) throws(StorageError) {
        if let upper, upper.withView({ compareBytes(key, $0) }) >= 0 { return try seekToLast() }
        isValid = false
        isForward = false
        // (key, 0) is after every version of `key` but one with tag 0, which no entry has: sequences start at 1.
        try merge.seekBefore(key, 0)
        try settleBackward()
    }

    func next() throws(StorageError) {
        guard isValid else { return }
        // Where a step throws, the cursor stands nowhere.
        isValid = false
        if isForward {
            savedKey.removeAll()
            savedKey.append(merge.key)
            try merge.next()
        } else {
            // The saved key is the current one; the merge stands before all its versions.
            isForward = true
            try merge.seek(savedKey.view, 0)
        }
        try settleForward(skippingSaved: true)
    }

    func previous() throws(StorageError) {
        guard isValid else { return }
        // Where a step throws, the cursor stands nowhere.
        isValid = false
        if isForward {
            isForward = false
            savedKey.removeAll()
            savedKey.append(merge.key)
            try merge.seekBefore(savedKey.view, .max)
        }
        try settleBackward()
    }

    /// Goes on to the first entry that is visible, skipping all versions of `savedKey` if asked.
    private func settleForward(skippingSaved: Bool) throws(StorageError) {
        var isSkipping = skippingSaved
        while merge.isValid {
            let key = merge.key
            if isSkipping, compareBytes(key, savedKey.view) == 0 {
                try merge.next()
                continue
            }
            if let upper, upper.withView({ compareBytes(key, $0) }) >= 0 { break }
            let tag = merge.tag
            if EntryTag.sequence(tag) > sequence {
                isSkipping = false
                try merge.next()
                continue
            }
            if EntryTag.kind(tag) == EntryKind.put, !isCovered(key, tag) {
                isValid = true
                return
            }
            savedKey.removeAll()
            savedKey.append(key)
            isSkipping = true
            try merge.next()
        }
        isValid = false
    }

    /// Goes back over whole keys until one is visible.
    private func settleBackward() throws(StorageError) {
        while merge.isValid {
            if let lower, lower.withView({ compareBytes(merge.key, $0) }) < 0 { break }
            savedKey.removeAll()
            savedKey.append(merge.key)
            var isVisible = false
            while merge.isValid, compareBytes(merge.key, savedKey.view) == 0 {
                let tag = merge.tag
                if EntryTag.sequence(tag) <= sequence {
                    isVisible = EntryTag.kind(tag) == EntryKind.put && !isCovered(merge.key, tag)
                    if isVisible {
                        savedValue.removeAll()
                        savedValue.append(merge.value)
                    }
                }
                try merge.previous()
            }
            if isVisible {
                isValid = true
                return
            }
        }
        isValid = false
    }

    private func isCovered(_ key: ByteView, _ tag: UInt64) -> Bool {
        guard let ranges else { return false }
        return ranges.newestCovering(key, at: sequence) > EntryTag.sequence(tag)
    }
}
