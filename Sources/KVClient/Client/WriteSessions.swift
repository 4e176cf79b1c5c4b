import Synchronization

/// The sessions under which a client's writes are repeated without taking effect twice.
///
/// Each write has a number in one of them, and a repetition has the same; the node answers it with the first result. A session
/// that was not used for a while, or that nodes no longer know, is left alone: they forget it by themselves.
final class WriteSessions: Sendable {
    /// One write's place.
    struct Stamp: Equatable {
        let session: Int64
        let sequence: UInt64
        /// The lowest number whose result is still waited for.
        let lowest: UInt64
    }

    /// How long nodes keep a session that is not used, in milliseconds.
    static let lifeMilliseconds = 600_000
    /// Nodes keep 256 results of a session in a shard: half of that may be waited for.
    static let outstandingMax = 128

    private struct Session {
        let number: Int64
        var next: UInt64 = 1
        var outstanding: Set<UInt64> = []
        var usedAt: ContinuousClock.Instant
    }

    private let sessions = Mutex<[Session]>([])

    /// A place in a session that is open and has room; nil where one must be opened first.
    func take() -> Stamp? {
        let now = ContinuousClock.now
        return sessions.withLock { sessions in
            let life = Duration.milliseconds(Self.lifeMilliseconds / 2)
            sessions.removeAll { $0.outstanding.isEmpty && now - $0.usedAt > life }
            guard
                let place = sessions.firstIndex(where: {
                    $0.outstanding.count < Self.outstandingMax && now - $0.usedAt <= life
                })
            else { return nil }
            let sequence = sessions[place].next
            sessions[place].next += 1
            sessions[place].outstanding.insert(sequence)
            sessions[place].usedAt = now
            let lowest = sessions[place].outstanding.min() ?? sequence
            return Stamp(session: sessions[place].number, sequence: sequence, lowest: lowest)
        }
    }

    /// A session was opened.
    func add(_ number: Int64) {
        sessions.withLock { $0.append(Session(number: number, usedAt: .now)) }
    }

    /// A write's outcome is known, or nobody waits for it any more.
    ///
    /// Where it is not known, the session ends with it: a result that came late would otherwise be taken for another's.
    func finish(_ stamp: Stamp, isKnown: Bool) {
        sessions.withLock { sessions in
            guard let place = sessions.firstIndex(where: { $0.number == stamp.session }) else { return }
            sessions[place].outstanding.remove(stamp.sequence)
            if !isKnown { sessions.remove(at: place) }
        }
    }
}

extension KVClient {
    /// Sends a write; under a session where the configuration says so, and then repeated until its outcome is known.
    func write(_ words: [[UInt8]], key: [UInt8]? = nil) async throws(ClientError) -> RESPValue {
        guard configuration.repeatsWrites else { return try await execute(words, .write, key: key) }
        let stamp = try await stamp()
        let numbers = [String(stamp.session), String(stamp.sequence), String(stamp.lowest)].map { Array($0.utf8) }
        do throws(ClientError) {
            let reply = try await execute(
                [Array("KV.SESSION".utf8), Array("DO".utf8)] + numbers + words,
                .once,
                key: key
            )
            sessions.finish(stamp, isKnown: true)
            return reply
        } catch {
            sessions.finish(stamp, isKnown: !error.isOutcomeUnknown)
            throw error
        }
    }

    private func stamp() async throws(ClientError) -> WriteSessions.Stamp {
        while true {
            if let stamp = sessions.take() { return stamp }
            let life = Array(String(WriteSessions.lifeMilliseconds).utf8)
            // Opening one more than is needed does no harm.
            let reply = try await execute([Array("KV.SESSION".utf8), Array("OPEN".utf8), life], isRead: true)
            guard case .integer(let number) = reply else {
                throw .protocolViolation("KV.SESSION OPEN answered \(reply)")
            }
            sessions.add(number)
        }
    }
}
