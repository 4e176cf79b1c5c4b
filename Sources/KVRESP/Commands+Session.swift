import KVBase
import KVService
import NIOCore

// KV.SESSION: writes that take effect once however often they are sent.
//
//   KV.SESSION OPEN [milliseconds]                                    the session's number
//   KV.SESSION KEEP session                                           1, or 0 where it is unknown or has expired
//   KV.SESSION CLOSE session                                          likewise
//   KV.SESSION DO session sequence lowest command [argument …]        what the command answers; EXEC after MULTI as well
//
// A retry sends the same session and sequence and gets the first answer. `lowest` is the lowest sequence that the client still waits
// for. An unknown or expired session is answered -UNKNOWN and nothing is done.

extension RESPConnection {
    func session(_ arguments: Arguments) throws(RESPError) {
        if arguments.matches(1, "DO"), arguments.count >= 6 { return try doInSession(arguments) }
        guard queue == nil else { throw .line("ERR only KV.SESSION DO … EXEC may stand between MULTI and EXEC") }
        if arguments.matches(1, "OPEN"), arguments.count <= 3 {
            try openSession(arguments)
        } else if arguments.matches(1, "KEEP"), arguments.count == 3 {
            submit(.keepSession(try sessionNumber(arguments, 2)))
        } else if arguments.matches(1, "CLOSE"), arguments.count == 3 {
            submit(.endSession(try sessionNumber(arguments, 2)))
        } else {
            throw .line(
                "ERR KV.SESSION takes OPEN [ms], KEEP session, CLOSE session, or DO session sequence lowest command …"
            )
        }
    }

    private func openSession(_ arguments: Arguments) throws(RESPError) {
        var life = SessionLimits.lifeMillisecondsDefault
        if arguments.count == 3 {
            guard let asked = UInt64(arguments.text(2)), SessionLimits.lifeMilliseconds.contains(asked) else {
                let bounds = SessionLimits.lifeMilliseconds
                throw .line("ERR a session lives \(bounds.lowerBound) to \(bounds.upperBound) ms")
            }
            life = asked
        }
        // Redis's numbers are signed; 0 is no session.
        let session = UInt64.random(in: 1...UInt64(Int64.max))
        let sequence = expectCustom(.write)
        service.submit(.openSession(session, lifeMilliseconds: life)) { [self] result in
            switch result {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success: finish(sequence) { output, _ in output.writeNumber(Int64(session)) }
            }
        }
    }

    private func submit(_ request: ShardRequest) {
        let sequence = expectCustom(.write)
        service.submit(request) { [self] result in
            switch result {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success(let isDone): finish(sequence) { output, _ in output.writeNumber(isDone ? 1 : 0) }
            }
        }
    }

    private func sessionNumber(_ arguments: Arguments, _ index: Int) throws(RESPError) -> UInt64 {
        guard let number = UInt64(arguments.text(index)) else { throw .line("ERR a session is a number") }
        return number
    }

    private func doInSession(_ arguments: Arguments) throws(RESPError) {
        let stamp = SessionStamp(
            session: try sessionNumber(arguments, 2),
            sequence: try sessionNumber(arguments, 3),
            lowestOutstanding: try sessionNumber(arguments, 4)
        )
        guard stamp.sequence > 0, stamp.lowestOutstanding <= stamp.sequence else {
            throw .line("ERR sequences count from 1, and the lowest is not above the command's own")
        }
        let table = shared.table
        let inner = arguments.dropping(5)
        guard let index = table.find(inner[0]) else { throw .line("ERR unknown command '\(inner.text(0))'") }
        let command = table.commands[index]
        guard command.accepts(argumentCount: inner.count) else { throw .wrongArity(command.name) }
        if command.name == "exec" { return try exec(in: stamp) }
        guard queue == nil else { throw .line("ERR only KV.SESSION DO … EXEC may stand between MULTI and EXEC") }
        guard command.flags.contains(.write), command.firstKey > 0, !command.flags.contains(.transaction) else {
            throw .line("ERR '\(command.name)' writes no key: send it without a session")
        }
        let first = batch.items.count
        let capture = Capture()
        capture.isSingle = true
        run(index, inner, capture)
        guard let part = capture.parts.first, part.requests > 0 else {
            return reply(.failed) { output, _ in
                if let answer = capture.parts.first?.answer { output.writeImmutableBuffer(answer) }
            }
        }
        if part.requests == 1 {
            let tag = part.detail.map { expect(part.shape, .write, $0) } ?? expect(part.shape, .write)
            return batch.putLastInSession(stamp, tag: tag)
        }
        let slot = batch.items[first].slot
        guard batch.items[first...].allSatisfy({ $0.slot == slot }) else {
            batch.removeItems(from: first)
            throw .crossSlot
        }
        let detail = Aggregate(parts: 1, keepsValues: false)
        detail.capture = capture
        let tag = expect(.transaction, .write, detail)
        _ = batch.joinAsTransaction(from: first, tag: tag)
        batch.putLastInSession(stamp)
    }
}
