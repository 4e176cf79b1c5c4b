import KVBase
import KVService

/// A reply that owns its bytes.
struct FakeReply: Sendable {
    var outcome: Reply.Outcome
    var version: UInt64 = 0
    var expiresAt: UInt64 = 0
    var integer: Int64 = 0
    var value: [UInt8]?
    var error: ServiceError?

    func hand(to sink: any ReplySink, _ tag: UInt64) {
        guard let value else {
            return sink.complete(
                tag,
                Reply(outcome, version: version, expiresAt: expiresAt, integer: integer, error: error)
            )
        }
        value.withUnsafeBytes { bytes in
            sink.complete(
                tag,
                Reply(outcome, version: version, expiresAt: expiresAt, integer: integer, value: bytes, error: error)
            )
        }
    }
}

extension FakeService.State {
    mutating func serve(_ bytes: UnsafeRawBufferPointer) -> FakeReply {
        if let error { return FakeReply(outcome: .failed, error: error) }
        do {
            return try serve(Request(bytes))
        } catch {
            return failure(.internalError, "\(error)")
        }
    }

    mutating func serve(_ request: Request) -> FakeReply {
        if request.operation.isCompound { return serveCompound(request) }
        let key = Array(request.key)
        if let row = rows[key], row.expiresAt != 0, row.expiresAt <= now { rows[key] = nil }
        let row = rows[key]
        switch request.body {
        case .get:
            guard let row else { return FakeReply(outcome: .absent) }
            return FakeReply(
                outcome: .found,
                version: row.version,
                expiresAt: row.expiresAt,
                integer: Int64(row.value.count),
                value: row.value
            )
        case .head:
            guard let row else { return FakeReply(outcome: .absent) }
            return FakeReply(
                outcome: .found,
                version: row.version,
                expiresAt: row.expiresAt,
                integer: Int64(row.value.count)
            )
        case .put(let value, let condition, let expiry):
            if let refusal = check(condition, row, request.flags) { return refusal }
            let expiresAt = moment(expiry, row)
            revision += 1
            rows[key] =
                expiresAt != 0 && expiresAt <= now
                ? nil : FakeService.Stored(value: Array(value), version: revision, expiresAt: expiresAt)
            return FakeReply(
                outcome: .done,
                version: revision,
                expiresAt: expiresAt,
                value: request.flags.contains(.returnPrevious) ? row?.value : nil
            )
        case .delete(let condition):
            if let refusal = check(condition, row, request.flags) { return refusal }
            guard let row else { return FakeReply(outcome: .absent) }
            rows[key] = nil
            revision += 1
            return FakeReply(outcome: .done, value: request.flags.contains(.returnPrevious) ? row.value : nil)
        case .expire(let expiry, let rule):
            var reply = expire(key, row, moment(expiry, row), rule)
            if request.flags.contains(.returnPrevious) { reply.value = row?.value }
            return reply
        case .setRange(let offset, let bytes):
            var value = row?.value ?? []
            let end = Int(offset) + bytes.count
            if !bytes.isEmpty {
                value += [UInt8](repeating: 0, count: max(0, end - value.count))
                value.replaceSubrange(Int(offset)..<end, with: bytes)
                revision += 1
                rows[key] = FakeService.Stored(value: value, version: revision, expiresAt: row?.expiresAt ?? 0)
            }
            return FakeReply(outcome: .number, version: revision, integer: Int64(value.count))
        case .addDecimal(let amount):
            let old = (row?.value ?? [0x30]).withUnsafeBytes { DecimalNumber($0) }
            guard let old, let amount = DecimalNumber(amount) else { return failure(.notANumber, "not a number") }
            guard let sum = old.adding(amount) else { return failure(.outOfRange, "too big") }
            revision += 1
            let value = Array(sum.text.utf8)
            rows[key] = FakeService.Stored(value: value, version: revision, expiresAt: row?.expiresAt ?? 0)
            return FakeReply(outcome: .done, version: revision, value: value)
        case .increment(let amount):
            let text = String(decoding: row?.value ?? [0x30], as: UTF8.self)
            guard let old = Int64(text), String(old) == text else {
                return failure(.notAnInteger, "not a number")
            }
            let (new, overflowed) = old.addingReportingOverflow(amount)
            guard !overflowed else { return failure(.outOfRange, "over 64 bits") }
            revision += 1
            rows[key] = FakeService.Stored(
                value: Array(String(new).utf8),
                version: revision,
                expiresAt: row?.expiresAt ?? 0
            )
            return FakeReply(outcome: .number, version: revision, integer: new)
        case .append(let suffix):
            revision += 1
            let value = (row?.value ?? []) + Array(suffix)
            rows[key] = FakeService.Stored(value: value, version: revision, expiresAt: row?.expiresAt ?? 0)
            return FakeReply(outcome: .number, version: revision, integer: Int64(value.count))
        default: return failure(.badRequest, "not for edges")
        }
    }

    func failure(_ code: ServiceError.Code, _ message: String) -> FakeReply {
        FakeReply(outcome: .failed, error: ServiceError(code, message))
    }

    func check(_ condition: Condition, _ row: FakeService.Stored?, _ flags: RequestFlags) -> FakeReply? {
        let holds =
            switch condition {
            case .none: true
            case .absent: row == nil
            case .present: row != nil
            case .version(let version): row?.version == version
            }
        if holds { return nil }
        return FakeReply(
            outcome: .conditionFailed,
            version: row?.version ?? 0,
            value: flags.contains(.returnPrevious) ? row?.value : nil
        )
    }

    private func moment(_ expiry: Expiry, _ row: FakeService.Stored?) -> UInt64 {
        switch expiry {
        case .none: 0
        case .keep: row?.expiresAt ?? 0
        case .after(let milliseconds): now + milliseconds
        case .at(let milliseconds): milliseconds
        }
    }

    private mutating func expire(
        _ key: [UInt8],
        _ row: FakeService.Stored?,
        _ moment: UInt64,
        _ rule: ExpireRule
    ) -> FakeReply {
        guard var row else { return FakeReply(outcome: .absent) }
        let old = row.expiresAt == 0 ? UInt64.max : row.expiresAt
        let new = moment == 0 ? UInt64.max : moment
        let applies =
            switch rule {
            case .always: true
            case .ifNone: row.expiresAt == 0
            case .ifSome: row.expiresAt != 0
            case .ifLater: new > old
            case .ifEarlier: new < old
            }
        guard applies else { return FakeReply(outcome: .number, integer: 0) }
        revision += 1
        row.version = revision
        row.expiresAt = moment
        rows[key] = moment != 0 && moment <= now ? nil : row
        return FakeReply(outcome: .number, version: revision, integer: 1)
    }

    func scan(_ request: ScanRequest) -> Result<ScanPage, ServiceError> {
        if let error { return .failure(error) }
        var keys = rows.keys.filter { key in
            key.starts(with: request.prefix) && !key.lexicographicallyPrecedes(request.start)
                && (request.end.map { key.lexicographicallyPrecedes($0) } ?? true)
        }
        keys.sort { $0.lexicographicallyPrecedes($1) }
        if request.isReversed { keys.reverse() }
        let page = keys.prefix(request.limit).compactMap { key in
            rows[key].map {
                ScanPage.Row(
                    key: key,
                    value: request.keysOnly ? [] : $0.value,
                    version: $0.version,
                    expiresAt: $0.expiresAt
                )
            }
        }
        return .success(ScanPage(rows: page, hasMore: keys.count > page.count))
    }

    var status: NodeStatus {
        let group = NodeStatus.Group(
            id: GroupID(1),
            replica: ReplicaID(11),
            role: .leader,
            term: 5,
            leader: NodeID(1),
            commitIndex: 42,
            appliedIndex: 41,
            firstIndex: 2,
            lastIndex: 43,
            logBytes: 1_000,
            lag: [NodeID(2): 1],
            shards: [ShardID(0)]
        )
        let peers = [2, 3].map {
            NodeStatus.Peer(id: NodeID($0), isConnected: true, addresses: ["resp": "10.0.0.\($0):6400"])
        }
        var status = NodeStatus(
            node: NodeID(1),
            cluster: ClusterID(high: 1, low: 2),
            incarnation: Incarnation(3),
            softwareVersion: "0.1.0",
            isReady: isReady,
            alarms: isReady ? [] : ["group 1 has no leader"],
            groups: [group],
            peers: peers,
            storage: NodeStatus.Storage()
        )
        status.slotRanges = [NodeStatus.SlotRange(first: 0, last: 16_383, group: GroupID(1))]
        status.addresses = ["resp": "10.0.0.1:6400", "http": "10.0.0.1:8080"]
        return status
    }
}
