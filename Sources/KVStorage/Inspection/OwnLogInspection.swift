package import KVBase
package import KVEnvironment
package import KVLog

/// One operation of a batch.
package struct InspectedOperation: Equatable, Sendable {
    /// What it does.
    package enum Kind: Equatable, Sendable {
        case put
        case delete
        /// The key is the start, the value the end.
        case deleteRange
    }
    /// What it does.
    package var kind: Kind
    /// Its sequence.
    package var sequence: UInt64
    /// The stored key.
    package var key: [UInt8]
    /// The stored value.
    package var value: [UInt8]
}

/// A batch in a lone tablet's own log.
package struct InspectedBatch: Equatable, Sendable {
    /// The sequence of its first operation.
    package var firstSequence: UInt64
    /// How far the tablet was with it.
    package var mark: TabletMark
    /// Its operations.
    package var operations: [InspectedOperation]

    /// The batch that a record of kind `batch` holds.
    /// - Throws: what is wrong with the bytes.
    package init(decoding payload: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(payload)
        firstSequence = try reader.readVarint()
        let count = try reader.readVarint()
        mark = try TabletMark(decoding: try reader.readLengthPrefixed())
        operations = []
        guard firstSequence > 0, firstSequence <= EntryTag.sequenceMax else {
            throw .invalid(offset: 0, what: "sequence \(firstSequence)")
        }
        while !reader.isAtEnd {
            let at = reader.offset
            let number = try reader.readByte()
            let kind: InspectedOperation.Kind
            switch number {
            case EntryKind.put: kind = .put
            case EntryKind.delete: kind = .delete
            case EntryKind.deleteRange: kind = .deleteRange
            default: throw .invalid(offset: at, what: "operation kind \(number)")
            }
            let keyLength = try reader.readVarint()
            let valueLength = try reader.readVarint()
            guard keyLength <= UInt64(reader.remaining), valueLength <= UInt64(reader.remaining) else {
                throw .truncated(offset: at)
            }
            let key = [UInt8](try reader.readBytes(Int(keyLength)))
            let value = [UInt8](try reader.readBytes(Int(valueLength)))
            operations.append(
                InspectedOperation(
                    kind: kind,
                    sequence: firstSequence + UInt64(operations.count),
                    key: key,
                    value: value
                )
            )
        }
        guard UInt64(operations.count) == count else {
            throw .invalid(offset: 0, what: "\(operations.count) operations of \(count)")
        }
    }
}

/// Reads the log that a lone tablet keeps for itself; changes nothing.
package enum OwnLogInspection {
    /// The directory of a tablet's own log.
    package static func directory(of tablet: String) -> String { tablet + "/" + TabletJournal.directoryName }

    /// Looks at the own log of the tablet in `directory` with this identity, if it has one; `body` gets each batch that reads.
    /// - Returns: the files, nil where there is no own log; and what is wrong.
    package static func read(
        _ fileSystem: any FileSystem,
        tablet: String,
        identity: UInt64,
        _ body: (InspectedBatch, LogRecord) -> Void = { _, _ in }
    ) -> (files: [LogFileReport], findings: [InspectionFinding])? {
        let directory = directory(of: tablet)
        guard fileSystem.exists(directory) else { return nil }
        var bytes: [UInt8] = []
        bytes.append(littleEndian: identity)
        var findings: [InspectionFinding] = []
        let files: [LogFileReport]
        do throws(FileError) {
            files = try LogInspection.segments(fileSystem, directory: directory, identity: bytes) { record in
                do throws(DecodingError) {
                    guard record.kind == .batch else {
                        throw DecodingError.invalid(offset: 0, what: "\(record.kind) in a tablet's own log")
                    }
                    body(try InspectedBatch(decoding: record.payload), record)
                } catch {
                    findings.append(
                        InspectionFinding(
                            file: directory + "/" + LogFormat.segmentName(record.place.number),
                            offset: record.place.offset,
                            length: UInt64(record.payload.count),
                            what: "record \(record.sequence): \(error)"
                        )
                    )
                }
            }
        } catch {
            return ([], [InspectionFinding(unreadable: directory, "\(error)")])
        }
        findings += files.flatMap { LogFindings.findings(of: $0, fileSystem) }
        return (files, findings)
    }
}
