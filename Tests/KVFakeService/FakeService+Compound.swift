import KVBase
import KVService

// Requests that hold others, done on a copy of the state where they may have to be taken back.

extension FakeService.State {
    mutating func serveCompound(_ request: Request) -> FakeReply {
        do {
            return try compound(request)
        } catch {
            return failure(.internalError, "\(error)")
        }
    }

    private mutating func compound(_ request: Request) throws -> FakeReply {
        switch request.body {
        case .transaction(let bytes):
            return transact(
                try Request.requests(ofTransaction: bytes),
                isAllOrNothing: request.flags.contains(.allOrNothing)
            )
        case .rename(let destination, let options): return rename(Array(request.key), Array(destination), options)
        case .clear:
            rows = [:]
            return FakeReply(outcome: .done)
        case .inSession(let stamp, let bytes):
            guard let results = sessions[stamp.session] else { return failure(.unknownOutcome, "no such session") }
            if let kept = results[stamp.sequence] { return kept }
            let reply = serve(bytes)
            sessions[stamp.session]?[stamp.sequence] = reply
            return reply
        case .once(let token, _, let bytes):
            if let kept = tokens[Array(token)] { return kept }
            let reply = serve(bytes)
            tokens[Array(token)] = reply
            return reply
        case .openSession(let session, _):
            sessions[session] = [:]
            return FakeReply(outcome: .done)
        case .keepSession(let session): return FakeReply(outcome: sessions[session] == nil ? .absent : .done)
        case .endSession(let session):
            return FakeReply(outcome: sessions.removeValue(forKey: session) == nil ? .absent : .done)
        default: return failure(.badRequest, "not for edges")
        }
    }

    private mutating func transact(_ requests: [Request], isAllOrNothing: Bool) -> FakeReply {
        for (place, request) in requests.enumerated() {
            guard case .check(let condition) = request.body else { continue }
            let row = rows[Array(request.key)]
            let present = row.flatMap { $0.expiresAt != 0 && $0.expiresAt <= now ? nil : $0 }
            let holds =
                if case .version(0) = condition { present == nil } else { check(condition, present, []) == nil }
            guard holds else {
                return FakeReply(outcome: .conditionFailed, version: present?.version ?? 0, integer: Int64(place))
            }
        }
        let before = self
        var bytes: [UInt8] = []
        for (place, request) in requests.enumerated() {
            var reply = request.operation == .check ? FakeReply(outcome: .done) : serve(request)
            if isAllOrNothing, reply.outcome == .failed || reply.outcome == .conditionFailed {
                self = before
                reply.integer = Int64(place)
                return reply
            }
            reply.append(to: &bytes, tag: UInt64(place))
        }
        return FakeReply(outcome: .done, version: revision, value: bytes)
    }

    private mutating func rename(_ key: [UInt8], _ destination: [UInt8], _ options: RenameOptions) -> FakeReply {
        guard var row = rows[key], row.expiresAt == 0 || row.expiresAt > now else { return FakeReply(outcome: .absent) }
        if options.contains(.onlyIfAbsent), rows[destination] != nil { return FakeReply(outcome: .conditionFailed) }
        revision += 1
        row.version = revision
        if !options.contains(.keepsSource) { rows[key] = nil }
        rows[destination] = row
        return FakeReply(outcome: .done, version: revision)
    }
}

extension FakeReply {
    func append(to bytes: inout [UInt8], tag: UInt64) {
        (value ?? []).withUnsafeBytes { view in
            ReplyFormat.append(
                Reply(
                    outcome,
                    version: version,
                    expiresAt: expiresAt,
                    integer: integer,
                    value: value == nil ? nil : view,
                    error: error
                ),
                tag: tag,
                to: &bytes
            )
        }
    }
}
