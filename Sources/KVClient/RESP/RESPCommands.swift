public import NIOCore

/// Requests of the Redis protocol, encoded one behind the other for one write.
public struct RESPCommands: Sendable {
    /// The encoded bytes.
    public private(set) var buffer: ByteBuffer
    /// How many requests, and so how many replies to expect.
    public private(set) var count = 0

    /// No requests yet, with room for `bytes`.
    public init(reserving bytes: Int = 256) {
        buffer = ByteBufferAllocator().buffer(capacity: bytes)
    }

    /// One request of these words.
    public init(_ words: [[UInt8]]) {
        self.init(reserving: words.reduce(16) { $0 + $1.count + 16 })
        append(words)
    }

    /// Appends a request: an array of bulk strings.
    public mutating func append(_ words: [[UInt8]]) {
        writeHeader("*", words.count)
        for word in words { writeBulk(word) }
        count += 1
    }

    /// Appends `SET key value`, without an array around the words: the import's inner loop.
    public mutating func appendSet(key: [UInt8], value: [UInt8]) {
        buffer.writeStaticString("*3\r\n$3\r\nSET\r\n")
        writeBulk(key)
        writeBulk(value)
        count += 1
    }

    private mutating func writeBulk(_ bytes: [UInt8]) {
        writeHeader("$", bytes.count)
        buffer.writeBytes(bytes)
        buffer.writeStaticString("\r\n")
    }

    private mutating func writeHeader(_ type: StaticString, _ number: Int) {
        buffer.writeStaticString(type)
        buffer.writeString(String(number))
        buffer.writeStaticString("\r\n")
    }
}
