import KVBase
import KVService
import KVSharding

@testable import KVReplication
@testable import KVStorage

/// Payloads inside records, entries, rows and messages: a byte says which decoder, the rest is its.
enum RecordTargets {
    static let all = [FuzzTarget(name: "records", seeds: RecordSeeds.all) { read($0) }]

    static func read(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[1...])
        if first == AccessFormat.commandNumber { return readAccess(bytes, rest) }
        switch first % 13 {
        case 0: consume(try? Request(rest))
        case 1: readEntry(rest)
        case 2:
            var batch = RequestBatch()
            try? ProxyFormat.decodeRequests(rest, into: &batch)
            consume(batch.items.count)
        case 3: try? ProxyFormat.decodeReplies(rest) { consume($0 + $1.version) }
        case 4:
            if let state = try? GroupManifestState(rest) {
                let again = try? state.encoded.withUnsafeBytes { try GroupManifestState($0) }
                require(again == state, "a group's state does not come back")
            }
        case 5: consume(try? TabletMark(decoding: rest))
        case 6: consume((try? StagedBatch(validating: rest))?.count)
        case 7: consume(try? ControllerCommand(rest))
        case 8: consume(try? ControllerState(rest))
        case 9:
            var reader = ByteReader(rest)
            consume(try? ShardMap(&reader))
        case 10: consume(try? NodeIdentity(parsing: Array(rest)))
        case 11: consume(try? SnapshotManifest(decoding: Array(rest)))
        default: consume(try? StoredValue(rest).isExpired(at: 9))
        }
    }

    /// Users: a command with its number, or the state behind it.
    private static func readAccess(_ bytes: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer) {
        if let command = try? AccessCommand(bytes) {
            let again = try? command.encoded.withUnsafeBytes { try AccessCommand($0) }
            require(again == command, "a command about users does not come back")
        }
        if let state = try? AccessState(rest) {
            let again = try? state.encoded.withUnsafeBytes { try AccessState($0) }
            require(again == state, "the users do not come back")
        }
    }

    private static func readEntry(_ bytes: UnsafeRawBufferPointer) {
        var reader = EntryReader(bytes)
        while let command = try? reader.next() { consume(command.request(in: bytes).count) }
    }
}
