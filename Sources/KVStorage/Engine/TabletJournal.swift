import KVBase
import KVEnvironment
import KVLog

/// A tablet's own log, for a tablet that stands alone.
final class TabletJournal {
    var number: UInt32 { 0 }
    func append(_ batch: borrowing WriteBatch, firstSequence: UInt64, mark: TabletMark) throws(StorageError) {}
    func removeOld(before number: UInt64) {}
    func close() {}
}
extension Tablet {
    func openJournal(synchronizes: Bool) throws(StorageError) {}
}
