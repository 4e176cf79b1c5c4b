import ArgumentParser

/// What `kvbench engine` can run, by the names of db_bench; `wait`, `filters` and the memtable figures are its own.
enum Workload: String, CaseIterable, ExpressibleByArgument {
    /// Keys in order into an empty tablet.
    case fillseq
    /// Keys drawn at random, with replacement, into an empty tablet.
    case fillrandom
    /// As `fillrandom` into what is there.
    case overwrite
    /// As `fillrandom` with a sync for each put, over a thousandth of the keys.
    case fillsync
    /// Reads of keys drawn at random.
    case readrandom
    /// Reads of keys one byte longer than any there is.
    case readmissing
    /// One cursor from the first key on.
    case readseq
    /// One cursor from the last key back.
    case readreverse
    /// A new cursor and a seek for each key drawn at random.
    case seekrandom
    /// `readrandom` while one more thread writes.
    case readwhilewriting
    /// Brings everything into the last level.
    case compact
    /// Brings the memtables into tables.
    case flush
    /// Waits until no background work is due.
    case waitforcompaction
    /// Ends the process at once, as `kill -9` does: nothing is closed.
    case crash
    /// Closes the tablet where it is open, and opens it again: what is in its log only is read from there.
    case reopen
    /// Deletes nine of ten keys, in order.
    case deletemost
    /// Waits until space that deletions freed is back, and says how much is taken.
    case reclaim
    /// How often the filters are wrong, and how many table look-ups they save.
    case filters
    /// Inserts into a memtable in the order of the keys: appends to its arena.
    case memtableappend
    /// Inserts of random keys into a memtable that holds 200,000.
    case memtableinsert
    /// The measure of `memtableappend`: inserts into a standard dictionary.
    case dictionaryinsert

    /// Whether it begins with an empty tablet.
    var isFresh: Bool {
        switch self {
        case .fillseq, .fillrandom, .fillsync: true
        default: false
        }
    }

    /// Whether it needs no tablet.
    var isMicro: Bool {
        switch self {
        case .memtableappend, .memtableinsert, .dictionaryinsert: true
        default: false
        }
    }

    /// Whether db_bench gives it threads, which take a number each (the number is part of the seed).
    var takesThreadNumbers: Bool {
        switch self {
        case .fillseq, .fillrandom, .overwrite, .fillsync, .readrandom, .readmissing, .readseq, .readreverse,
            .seekrandom,
            .readwhilewriting, .compact:
            true
        default: false
        }
    }
}
