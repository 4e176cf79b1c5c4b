import KVBase

/// What the first record of each file says: which log it belongs to and where its predecessor ends.
package struct LogHeader: Equatable, Sendable {
    /// The position of the file's first byte, counted over the whole log.
    package var start: UInt64
    /// The file before this one; 0: none.
    package var predecessorNumber: UInt32
    /// How many bytes of the file before count; what stands after them is not part of the log.
    package var predecessorLength: UInt64
    /// How many records (headers aside) the log holds before this file.
    package var lastSequence: UInt64
    /// Whose log it is: bytes that the owner chose.
    package var identity: [UInt8]

    init(start: UInt64, predecessorNumber: UInt32, predecessorLength: UInt64, lastSequence: UInt64, identity: [UInt8]) {
        self.start = start
        self.predecessorNumber = predecessorNumber
        self.predecessorLength = predecessorLength
        self.lastSequence = lastSequence
        self.identity = identity
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: LogFormat.version)
        bytes.append(littleEndian: start)
        bytes.append(littleEndian: predecessorNumber)
        bytes.append(littleEndian: predecessorLength)
        bytes.append(littleEndian: lastSequence)
        bytes.append(lengthPrefixed: identity)
        return bytes
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(HeaderError) {
        do {
            var reader = ByteReader(bytes)
            let version: UInt32 = try reader.readLittleEndian()
            guard version == LogFormat.version else { throw HeaderError.version(version) }
            start = try reader.readLittleEndian()
            predecessorNumber = try reader.readLittleEndian()
            predecessorLength = try reader.readLittleEndian()
            lastSequence = try reader.readLittleEndian()
            identity = Array(try reader.readLengthPrefixed())
            guard reader.isAtEnd, start < 1 << 62, predecessorLength <= start else { throw HeaderError.malformed }
        } catch let error as HeaderError {
            throw error
        } catch {
            throw .malformed
        }
    }

    enum HeaderError: Error {
        case version(UInt32)
        case malformed
    }
}
