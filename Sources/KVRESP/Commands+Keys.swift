import KVBase
import KVService

extension RESPConnection {
    func delete(_ arguments: Arguments) throws(RESPError) {
        let parts = arguments.count - 1
        for index in 1...parts { _ = try key(arguments, index) }
        try requireOneSlotIfRedirecting(arguments)
        guard parts > 1 else { return batch.delete(arguments[1], tag: expect(.flag, .write)) }
        let tag = expect(parts: parts, .sum, .write)
        for part in 0..<parts { batch.delete(arguments[part + 1], tag: tag + UInt64(part)) }
    }

    func exists(_ arguments: Arguments) throws(RESPError) {
        let parts = arguments.count - 1
        for index in 1...parts { _ = try key(arguments, index) }
        try requireOneSlotIfRedirecting(arguments)
        guard parts > 1 else {
            return batch.head(arguments[1], tag: expect(.flag, .read), consistency: consistency)
        }
        let tag = expect(parts: parts, .sum, .read)
        for part in 0..<parts { batch.head(arguments[part + 1], tag: tag + UInt64(part), consistency: consistency) }
    }

    /// TYPE, TTL, PTTL, EXPIRETIME, PEXPIRETIME: what the service knows of a key without its value.
    func head(_ arguments: Arguments, _ shape: ReplyShape) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.head(key, tag: expect(shape, .read), consistency: consistency)
    }

    func persist(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.expire(key, .none, rule: .ifSome, tag: expect(.number, .write))
    }

    /// EXPIRE and its kin.
    ///
    /// A time that is not in the future removes the key, as in Redis.
    func expire(
        _ arguments: Arguments,
        _ name: String,
        millisecondsPerUnit: Int64,
        isAbsolute: Bool
    ) throws(RESPError) {
        let key = try key(arguments, 1)
        let rule = try expireRule(arguments)
        let time = try arguments.integer(2)
        let (milliseconds, overflowed) = time.multipliedReportingOverflow(by: millisecondsPerUnit)
        guard !overflowed else { throw .invalidExpire(name) }
        if !isAbsolute {
            // Redis refuses a moment that does not fit 64 bits of milliseconds.
            let (_, tooLate) = milliseconds.addingReportingOverflow(Int64(clamping: shared.settings.now()))
            guard !tooLate else { throw .invalidExpire(name) }
        }
        // The first millisecond of 1970 is past for every clock; 0 would read as "never".
        let expiry: Expiry =
            if milliseconds <= 0 {
                .at(milliseconds: 1)
            } else if isAbsolute {
                .at(milliseconds: UInt64(milliseconds))
            } else {
                .after(milliseconds: UInt64(milliseconds))
            }
        batch.expire(key, expiry, rule: rule, tag: expect(.number, .write))
    }

    private func expireRule(_ arguments: Arguments) throws(RESPError) -> ExpireRule {
        var isNX = false
        var isXX = false
        var isGT = false
        var isLT = false
        for index in 3..<max(3, arguments.count) {
            if arguments.matches(index, "NX") {
                isNX = true
            } else if arguments.matches(index, "XX") {
                isXX = true
            } else if arguments.matches(index, "GT") {
                isGT = true
            } else if arguments.matches(index, "LT") {
                isLT = true
            } else {
                throw .line("ERR Unsupported option \(arguments.text(index))")
            }
        }
        if isNX && (isXX || isGT || isLT) {
            throw .line("ERR NX and XX, GT or LT options at the same time are not compatible")
        }
        if isGT && isLT { throw .line("ERR GT and LT options at the same time are not compatible") }
        if isXX && isLT { throw .line("ERR XX together with LT is not supported: a key without expiry would get one") }
        if isNX { return .ifNone }
        // No expiry counts as the latest, so that GT alone already asks for one.
        if isGT { return .ifLater }
        if isXX { return .ifSome }
        return isLT ? .ifEarlier : .always
    }
}
