import KVBase
import KVLog
import KVReplication
import KVStorage

/// What a record of any log of this project holds.
enum RecordContent {
    case node(NodeLogRecord)
    case batch(InspectedBatch)
    case group(GroupManifestState)
    /// An edit of a tablet's manifest; `sstdump manifest` reads it in full.
    case versionEdit

    init(_ record: LogRecord) throws(DecodingError) {
        switch record.kind {
        case .batch: self = .batch(try InspectedBatch(decoding: record.payload))
        case .groupEdit: self = .group(try GroupManifestState(record.payload))
        case .versionEdit: self = .versionEdit
        default: self = .node(try NodeLogRecord(record.kind, record.payload))
        }
    }
}
