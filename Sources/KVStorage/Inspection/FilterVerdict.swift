/// What the filters say of a key: how many tables could hold it by their bounds, and how many of those their filters let pass.
package struct FilterVerdict: Sendable {
    /// Tables whose bounds hold the key.
    package private(set) var tables: UInt64 = 0
    /// Of these, the tables whose filter does not exclude it: they would be searched.
    package private(set) var passed: UInt64 = 0

    /// Of no key.
    package init() {}

    /// The sum of two.
    package mutating func add(_ other: FilterVerdict) {
        tables += other.tables
        passed += other.passed
    }

    /// The share of tables that would be searched; of absent keys the false-positive rate.
    package var passedShare: Double { tables == 0 ? 0 : Double(passed) / Double(tables) }

    mutating func note(passes: Bool) {
        tables += 1
        if passes { passed += 1 }
    }
}

extension Tablet {
    /// Asks the filters of all tables about a key, and searches none.
    ///
    /// Any thread. For figures.
    /// - Throws: `file`, `corruption` where a table cannot be opened.
    package func filterVerdict(_ key: UnsafeRawBufferPointer) throws(StorageError) -> FilterVerdict {
        let key = ByteView(key)
        let hash = hashKey(key)
        var verdict = FilterVerdict()
        for level in currentView.version.levels {
            for position in level.files.indices where level.mayHold(position, key) {
                verdict.note(passes: try level.files[position].openReader().filterMayContain(hash))
            }
        }
        return verdict
    }

    /// Whether no background work runs or is due: memtables are flushed and levels within their targets.
    ///
    /// Any thread.
    package var isIdle: Bool {
        background.withLock { state in
            !state.isFlushing && !state.isCompacting && !state.isInstalling && state.sealed.isEmpty
                && (!options.compactsAutomatically || picker.plan(state.version) == nil)
        }
    }
}
