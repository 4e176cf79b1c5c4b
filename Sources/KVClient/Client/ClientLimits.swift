import KVBase

/// What the client refuses to go past, whoever asks.
enum ClientLimits {
    /// The longest text line of a reply (simple strings, errors, numbers, headers), in bytes.
    static let replyLineBytesMax = 64 * 1024
    /// The longest bulk string of a reply: a greatest value, and room for what a later format may add.
    static let replyBulkBytesMax = Limits.valueBytesMax + Limits.keyBytesMax + 64 * 1024
    /// The most elements in one aggregate: a scan page of 10,000 rows, a map counting twice, and room to spare.
    static let replyElementsMax = 1 << 20
    /// The deepest nesting of aggregates; Redis itself needs 5 (CLUSTER SHARDS).
    static let replyDepthMax = 16
    /// The longest whole reply in bytes: four greatest values.
    static let replyBytesMax = 4 * replyBulkBytesMax
    /// The longest HTTP body read, in bytes: a listing page ends after about 4 MiB of keys and values, which base64 and
    /// the text form beside it grow by 1.4 + 6 (a control byte is six characters of JSON) in the worst case.
    static let httpBodyBytesMax = 64 * 1024 * 1024
    /// The longest record of an import, in bytes of input: a greatest key and value as base64, and their names.
    static let recordBytesMax = (Limits.valueBytesMax + Limits.keyBytesMax) / 3 * 4 + 64 * 1024
    /// The most records between the first unacknowledged one and the last sent, so that what an import remembers is bounded
    /// however long its oldest record waits.
    static let importSpanMax = 1 << 18
    /// The most refused records an import goes on with.
    static let importRejectedMax = 10_000
}
