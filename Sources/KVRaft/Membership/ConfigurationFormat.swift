package import KVBase

// Bytes of a configuration (in snapshots and group manifests) and of a change (the payload of a configuration entry):
//
//     configuration = u8 version 1 · u8 leaves automatically · 4 × list (voters, outgoing, learners, learners next)
//     list          = varint count · count × varint replica
//     change        = u8 version 1 · u8 transition · varint count · count × (u8 step · varint replica) · varint length · context

private let version: UInt8 = 1

extension Configuration {
    /// The configuration as bytes.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = [version, leavesAutomatically ? 1 : 0]
        for list in [voters, outgoing, learners, learnersNext] {
            bytes.append(varint: UInt64(list.count))
            for replica in list { bytes.append(varint: replica.rawValue) }
        }
        return bytes
    }

    /// The configuration that these bytes say.
    /// - Throws: `DecodingError` where they say none.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        self = try decoding(bytes) { (reader) throws(DecodingError) in
            try readVersion(&reader)
            let automatically = try readNumber(&reader, below: 2, "whether to leave automatically")
            return Configuration(
                voters: try readReplicas(&reader),
                outgoing: try readReplicas(&reader),
                learners: try readReplicas(&reader),
                learnersNext: try readReplicas(&reader),
                leavesAutomatically: automatically == 1
            )
        }
    }
}

extension ConfigurationChange {
    /// The change as bytes.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = [version, transition.rawValue]
        bytes.append(varint: UInt64(items.count))
        for item in items {
            bytes.append(item.step.rawValue)
            bytes.append(varint: item.replica.rawValue)
        }
        bytes.append(lengthPrefixed: context)
        return bytes
    }

    /// The change that these bytes say.
    /// - Throws: `DecodingError` where they say none.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        self = try decoding(bytes) { (reader) throws(DecodingError) in
            try readVersion(&reader)
            let transition = try readNumber(&reader, below: 3, "transition")
            let count = try readCount(&reader, bytesEach: 2)
            var items: [Item] = []
            items.reserveCapacity(count)
            for _ in 0..<count {
                let step = try readNumber(&reader, below: 4, "step")
                items.append(Item(Step(rawValue: step) ?? .update, ReplicaID(try reader.readVarint())))
            }
            let context = Array(try reader.readLengthPrefixed())
            return ConfigurationChange(
                transition: Transition(rawValue: transition) ?? .automatic,
                items: items,
                context: context
            )
        }
    }
}

private func decoding<Value>(
    _ bytes: [UInt8],
    _ body: (inout ByteReader) throws(DecodingError) -> Value
) throws(DecodingError) -> Value {
    // withUnsafeBytes only rethrows untyped, hence the element view (`withUnsafeBufferPointer` throws typed).
    try bytes.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
        // SAFETY: the reader does not outlive this call, and what it returns is copied.
        var reader = ByteReader(UnsafeRawBufferPointer(buffer))
        let value = try body(&reader)
        guard reader.isAtEnd else { throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes too many") }
        return value
    }
}

private func readVersion(_ reader: inout ByteReader) throws(DecodingError) {
    let offset = reader.offset
    let found = try reader.readByte()
    guard found == version else { throw .invalid(offset: offset, what: "version \(found), expected \(version)") }
}

private func readNumber(_ reader: inout ByteReader, below limit: UInt8, _ name: String) throws(DecodingError) -> UInt8 {
    let offset = reader.offset
    let found = try reader.readByte()
    guard found < limit else { throw .invalid(offset: offset, what: "\(name) \(found), expected below \(limit)") }
    return found
}

private func readCount(_ reader: inout ByteReader, bytesEach: Int) throws(DecodingError) -> Int {
    let offset = reader.offset
    let count = try reader.readVarint()
    guard count <= UInt64(reader.remaining / bytesEach) else {
        throw .invalid(offset: offset, what: "count \(count) in \(reader.remaining) bytes")
    }
    return Int(count)
}

private func readReplicas(_ reader: inout ByteReader) throws(DecodingError) -> [ReplicaID] {
    let count = try readCount(&reader, bytesEach: 1)
    var result: [ReplicaID] = []
    result.reserveCapacity(count)
    for _ in 0..<count { result.append(ReplicaID(try reader.readVarint())) }
    return result
}
