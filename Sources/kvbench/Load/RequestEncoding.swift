extension ByteQueue {
    /// A word of the command.
    @inline(__always)
    func append(word: UnsafeRawBufferPointer) {
        append("$")
        append(decimal: UInt64(word.count))
        append("\r\n")
        append(word)
        append("\r\n")
    }

    /// `SET key value`.
    func appendSet(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        append("*3\r\n$3\r\nSET\r\n")
        append(word: key)
        append(word: value)
    }

    /// `GET key`.
    func appendGet(_ key: UnsafeRawBufferPointer) {
        append("*2\r\n$3\r\nGET\r\n")
        append(word: key)
    }

    /// `DEL key`.
    func appendDelete(_ key: UnsafeRawBufferPointer) {
        append("*2\r\n$3\r\nDEL\r\n")
        append(word: key)
    }

    /// `INCR key`.
    func appendIncrement(_ key: UnsafeRawBufferPointer) {
        append("*2\r\n$4\r\nINCR\r\n")
        append(word: key)
    }
}
