import KVBase
import KVRaft
import KVReplication
import KVService

/// A command of a log entry as people read it.
struct LoggedCommand {
    let shard: ShardID
    let epoch: Epoch
    let operation: String
    let key: [UInt8]
    /// The bytes that the command carries, where it carries any.
    var value: [UInt8]?
    /// Condition, expiry and the like, where they are not the usual ones.
    var details: [(name: String, value: JSONValue)] = []

    /// The commands of an entry; none where it is not an entry of shards, and those before the first that does not read.
    static func commands(of entry: Entry, group: GroupID) -> [LoggedCommand] {
        guard entry.kind == .commands, group != .controller else { return [] }
        return entry.payload.withUnsafeBytes { payload in
            var reader = EntryReader(payload)
            var commands: [LoggedCommand] = []
            // What does not read is told where the entry's checksum is looked at.
            while let command = try? reader.next(),
                let request = try? Request(command.request(in: payload), from: .logged)
            {
                commands.append(LoggedCommand(command, request))
            }
            return commands
        }
    }

    private init(_ command: EntryCommand, _ request: Request) {
        shard = command.shard
        epoch = command.epoch
        operation = "\(request.operation)"
        key = Array(request.key)
        switch request.body {
        case .put(let value, let condition, let expiry):
            self.value = Array(value)
            note(condition)
            note(expiry)
        case .delete(let condition): note(condition)
        case .append(let bytes): value = Array(bytes)
        case .expire(let expiry, _): note(expiry)
        case .increment(let amount): details.append(("amount", .text("\(amount)")))
        case .sweep(let version): details.append(("version", .number(version)))
        default: break
        }
    }

    private mutating func note(_ condition: Condition) {
        switch condition {
        case .none: break
        default: details.append(("condition", .text("\(condition)")))
        }
    }

    private mutating func note(_ expiry: Expiry) {
        switch expiry {
        case .none: break
        default: details.append(("expiry", .text("\(expiry)")))
        }
    }

    func fields(showsValue: Bool, _ output: Output) -> [(String, JSONValue)] {
        var fields: [(String, JSONValue)] = [
            ("shard", .number(UInt64(shard.rawValue))), ("epoch", .number(epoch.rawValue)),
            ("operation", .text(operation)), ("key", .bytes(key)),
        ]
        if let value {
            fields.append(("valueBytes", .count(value.count)))
            if showsValue { fields.append(("value", .bytes(value))) }
        }
        return fields + details.map { ($0.name, $0.value) }
    }

    func text(showsValue: Bool, _ output: Output) -> String {
        var text = "shard \(shard) \(operation) \(output.keyFormat.show(key))"
        if let value {
            text += " \(value.count) bytes"
            if showsValue { text += "  " + output.keyFormat.show(value) }
        }
        for (name, value) in details {
            switch value {
            case .text(let word): text += " \(name) \(word)"
            case .number(let number): text += " \(name) \(number)"
            default: break
            }
        }
        return text
    }
}
