import KVBase
import KVRaft
import KVReplication
import KVService
import KVStorage
import Testing

/// A reply with its place, copied.
struct Answer: Equatable, CustomStringConvertible {
    var ordinal: UInt32
    var reply: OwnedReply
    var code: ServiceError.Code?

    var description: String {
        "#\(ordinal) \(reply.outcome) v\(reply.version) e\(reply.expiresAt) i\(reply.integer) "
            + (reply.value.map { "'\(String(decoding: $0, as: UTF8.self))' " } ?? "") + (code?.rawValue ?? "")
    }
}

/// A group's applier over dictionaries, and the entries that were put to it.
final class ApplyBench<Store: RowStore> {
    let epoch = Epoch(1)
    private(set) var applier: EntryApplier<Store>
    private(set) var index: LogIndex
    var time: UInt64 = 1000
    /// How often an entry was blocked.
    private(set) var blocks = 0

    init(_ stores: [Store]) {
        let machines = stores.enumerated().map {
            ShardStateMachine(shard: ShardID(UInt32($0.offset)), store: $0.element, epoch: Epoch(1))
        }
        applier = EntryApplier(machines)
        index = stores.map(\.mark.appliedIndex).max() ?? 0
    }

    /// The payload of requests, all for one shard.
    func payload(shard: UInt32 = 0, epoch: Epoch? = nil, _ fill: (inout RequestBatch) -> Void) -> [UInt8] {
        var batch = RequestBatch()
        fill(&batch)
        var builder = EntryBuilder()
        for item in batch.items { builder.append(item, of: batch, shard: ShardID(shard), epoch: epoch ?? self.epoch) }
        return builder.take()
    }

    /// Applies an entry to its end, fetching what it needs.
    @discardableResult
    func apply(_ payload: [UInt8], at place: LogIndex? = nil, roundsMax: Int = 10) throws -> [Answer] {
        if place == nil { index += 1 }
        let entry = Entry(
            index: place ?? index,
            term: 3,
            kind: .commands,
            time: time,
            checksum: 0,
            payload: payload
        )
        for _ in 0..<roundsMax {
            switch try applier.apply(entry, wantsReplies: true) {
            case .applied: return answers()
            case .blocked(let missing):
                blocks += 1
                for part in missing { applier.deliver(try part.fetch(), for: part.shard) }
            case .stalled: continue
            }
        }
        Issue.record("entry \(entry.index) made no progress in \(roundsMax) rounds")
        return []
    }

    /// Applies an entry made of requests to shard 0.
    @discardableResult
    func run(_ fill: (inout RequestBatch) -> Void) throws -> [Answer] {
        try apply(payload(fill))
    }

    func answers() -> [Answer] {
        var all: [Answer] = []
        applier.forEachReply { ordinal, reply in
            all.append(Answer(ordinal: ordinal, reply: OwnedReply(copying: reply), code: reply.error?.code))
        }
        return all
    }

    /// Reads a key as the leader would.
    func get(_ key: String, shard: UInt32 = 0, wallTime: UInt64? = nil) throws -> OwnedReply? {
        var batch = RequestBatch()
        batch.get(key)
        var copy: OwnedReply?
        _ = try batch.bytes.withUnsafeBytes { (bytes) throws in
            let request = try Request(bytes)
            return try applier[ShardID(shard)]?.reader.read(
                request,
                loggedTime: applier.loggedTime,
                wallTime: wallTime ?? applier.loggedTime,
                memoryOnly: false
            ) { copy = OwnedReply(copying: $0) }
        }
        return copy
    }
}

extension RequestBatch {
    mutating func get(_ key: String) {
        Array(key.utf8).withUnsafeBytes { get($0, tag: 0) }
    }
    mutating func put(
        _ key: String,
        _ value: String,
        _ condition: Condition = .none,
        _ expiry: Expiry = .none,
        _ flags: RequestFlags = []
    ) {
        Array(key.utf8).withUnsafeBytes { key in
            Array(value.utf8).withUnsafeBytes {
                put(key, $0, tag: 0, condition: condition, expiry: expiry, flags: flags)
            }
        }
    }
    mutating func delete(_ key: String, _ condition: Condition = .none, _ flags: RequestFlags = []) {
        Array(key.utf8).withUnsafeBytes { delete($0, tag: 0, condition: condition, flags: flags) }
    }
    mutating func increment(_ key: String, _ amount: Int64 = 1) {
        Array(key.utf8).withUnsafeBytes { increment($0, by: amount, tag: 0) }
    }
    mutating func append(_ key: String, _ suffix: String) {
        Array(key.utf8).withUnsafeBytes { key in Array(suffix.utf8).withUnsafeBytes { append(key, $0, tag: 0) } }
    }
    mutating func expire(_ key: String, _ expiry: Expiry, _ rule: ExpireRule = .always) {
        Array(key.utf8).withUnsafeBytes { expire($0, expiry, rule: rule, tag: 0) }
    }
}

extension Answer {
    static func done(_ ordinal: UInt32, _ version: UInt64, value: String? = nil, expiresAt: UInt64 = 0) -> Answer {
        Answer(
            ordinal: ordinal,
            reply: OwnedReply(.done, version: version, expiresAt: expiresAt, value: value.map { Array($0.utf8) })
        )
    }
    static func number(_ ordinal: UInt32, _ number: Int64, _ version: UInt64, expiresAt: UInt64 = 0) -> Answer {
        Answer(
            ordinal: ordinal,
            reply: OwnedReply(.number, version: version, expiresAt: expiresAt, integer: number)
        )
    }
    static func failed(_ ordinal: UInt32, _ code: ServiceError.Code) -> Answer {
        Answer(ordinal: ordinal, reply: OwnedReply(.failed), code: code)
    }
    static func absent(_ ordinal: UInt32) -> Answer { Answer(ordinal: ordinal, reply: OwnedReply(.absent)) }
}
