package import KVBase
import KVRaft
import KVStorage

// How far the log is needed: tablets are flushed, the manifest notes through where they hold everything, and the log lets go.

extension GroupReplica {
    /// Notes through where the tablets hold everything durably; to be called after a flush and now and then.
    ///
    /// The cut point is the minimum over the tablets of the first unflushed index less one, or the applied index where nothing is unflushed.
    /// The manifest has it, synced, before the log may drop anything.
    package func noteFlushes() {
        noteStorage()
        host.turnEnd.ask()
        guard stopReason == nil, !isInstalling, !isCutting else { return }
        let unflushed = machine.tablets.compactMap { $0.tablet.firstUnflushedIndex }.min()
        let index = unflushed.map { $0 - 1 } ?? core.applied
        guard index > store.state.cutIndex, let term = core.term(at: index) else {
            releaseLog()
            return
        }
        isCutting = true
        store.change { state in
            state.cutIndex = index
            state.cutTerm = term
        } completion: { [weak self] error in
            guard let self else { return }
            self.isCutting = false
            if let error { return self.stop("its manifest cannot be written: \(error)") }
            self.durableCut = LogCut(index: index, term: term)
            self.releaseLog()
        }
    }

    /// Lets the log drop what the tablets hold, but for what a snapshot on its way will be followed by.
    private func releaseLog() {
        guard durableCut.index > 0 else { return }
        var cut = durableCut
        if let needed = observer?.retainFrom(self), needed <= cut.index {
            guard needed > 1, let term = core.term(at: needed - 1) else { return }
            cut = LogCut(index: needed - 1, term: term)
        }
        host.log.cut(id, to: cut)
    }

    /// The log dropped segments: the core must not count on what they held.
    package func logDropped() {
        let first = host.log.firstIndex(id)
        guard stopReason == nil, first > core.firstIndex else { return }
        core.cutLog(through: first - 1)
    }

    /// Flushes the tablets that keep the log from dropping entries up to `index`.
    package func flush(through index: LogIndex) {
        guard stopReason == nil, !isInstalling else { return }
        for hosted in machine.tablets where (hosted.tablet.firstUnflushedIndex ?? .max) <= index {
            hosted.tablet.flush()
        }
        noteFlushes()
    }

    /// Applied entries leave memory past a bound; a follower that is further behind gets them from the disk.
    func evictOldEntries(_ entry: Entry) {
        inMemory.append((entry.index, entry.size))
        inMemoryBytes += entry.size
        guard inMemoryBytes > settings.logBytesInMemoryMax else { return }
        var last: LogIndex = 0
        while inMemoryBytes > settings.logBytesInMemoryMax, let first = inMemory.popFirst() {
            inMemoryBytes -= first.bytes
            last = first.index
        }
        core.evict(through: last)
    }
}
