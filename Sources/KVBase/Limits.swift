/// Bounds that formats and every edge share.
///
/// What can be configured is configured elsewhere, never past these.
package enum Limits {
    /// The longest key that any format holds, in bytes.
    package static let keyBytesMax = 64 * 1024
    /// The longest key that is taken unless configured otherwise, in bytes.
    package static let keyBytesDefault = 4 * 1024
    /// The longest value that any format holds, in bytes.
    package static let valueBytesMax = 16 * 1024 * 1024
    /// The longest value that is taken unless configured otherwise, in bytes.
    package static let valueBytesDefault = 4 * 1024 * 1024
    /// The longest write batch, in bytes: one greatest value and its key, and room for what surrounds them.
    package static let batchBytesMax = valueBytesMax + keyBytesMax + 4 * 1024
    /// The longest log entry, in bytes; no message between nodes may be too short for it.
    ///
    /// It has room for writes that came together until it was full, and for one that is as long as a batch may be, or several that must stand in one entry
    /// and are as long together.
    package static let entryBytesMax = batchBytesMax + (2 << 20)
    /// How many bytes of rows one entry writes to one tablet, at most: its own, and those that short commands make anew from long values.
    package static let stagedBytesMax = 3 * batchBytesMax
    /// How many shards a cluster is created with unless told otherwise.
    package static let shardCountDefault = 16
}
