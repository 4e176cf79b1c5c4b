import KVBase
import KVService
import NIOCore

// The rarer commands on values: parts of them, fractions, several at once, expiry while reading.

extension RESPConnection {
    /// GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST].
    func getAndExpire(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        guard arguments.count > 2 else {
            return batch.get(key, tag: expect(.value, .read), consistency: consistency)
        }
        let options = try WriteOptions(arguments, from: 2, isSet: false)
        let expiry: Expiry
        do throws(RESPError) {
            expiry = try options.expiry(arguments, "getex", now: shared.settings.now())
        } catch {
            // Redis looks at the time only where there is a key.
            let detail = Aggregate(parts: 1, keepsValues: false)
            detail.errorLine = error.text
            return batch.head(key, tag: expect(.errorWherePresent, .read, detail), consistency: consistency)
        }
        batch.expire(key, expiry, flags: .returnPrevious, tag: expect(.value, .write))
    }

    /// MSETNX: one transaction, so one slot.
    func setManyIfAbsent(_ arguments: Arguments) throws(RESPError) {
        guard arguments.count % 2 == 1 else { throw .wrongArity("msetnx") }
        let parts = (arguments.count - 1) / 2
        for part in 0..<parts { _ = try key(arguments, 2 * part + 1) }
        try requireOneSlot(arguments, step: 2)
        let first = batch.items.count
        for part in 0..<parts { batch.check(arguments[2 * part + 1], .absent, tag: 0) }
        for part in 0..<parts { batch.put(arguments[2 * part + 1], arguments[2 * part + 2], tag: 0) }
        // All slots are equal, so they can be joined.
        _ = batch.joinAsTransaction(from: first, tag: expect(.flag, .write))
    }

    func getRange(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        let detail = Aggregate(parts: 1, keepsValues: false)
        detail.range = (try arguments.integer(2), try arguments.integer(3))
        batch.get(key, tag: expect(.range, .read, detail), consistency: consistency)
    }

    func setRange(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        let offset = try arguments.integer(2)
        guard offset >= 0 else { throw .line("ERR offset is out of range") }
        let bytes = arguments[3]
        // Nothing is written then, however far away: the answer is the length.
        if bytes.isEmpty { return batch.setRange(key, at: 0, bytes, tag: expect(.number, .write)) }
        let bytesMax = shared.limits.valueBytesMax
        guard offset <= bytesMax, Int(offset) + bytes.count <= bytesMax else {
            throw .line("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
        }
        batch.setRange(key, at: UInt64(offset), bytes, tag: expect(.number, .write))
    }

    func incrementByDecimal(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        guard DecimalNumber(arguments[2]) != nil else { throw Self.noDecimal(arguments.text(2)) }
        batch.addDecimal(key, arguments[2], tag: expect(.value, .write))
    }

    /// Why an increment is none, told apart as Redis does.
    ///
    /// What only Redis adds is refused with a reason: nothing is added that would not be exact.
    private static func noDecimal(_ text: String) -> RESPError {
        guard let first = text.first, !first.isWhitespace, let number = Double(text), !number.isNaN else {
            return .line("ERR value is not a valid float")
        }
        let isInfinite = text.lowercased().contains("inf")
        if isInfinite { return .line("ERR increment would produce NaN or Infinity") }
        return .line("ERR value is not a valid float: decimal numbers below 10^21 can be added here")
    }

    /// RENAME, RENAMENX and COPY.
    func rename(_ arguments: Arguments, _ options: RenameOptions, _ shape: ReplyShape) throws(RESPError) {
        let (source, destination) = (try key(arguments, 1), try key(arguments, 2))
        guard Slot(key: source) == Slot(key: destination) else { throw .crossSlot }
        batch.rename(source, to: destination, options: options, tag: expect(shape, .write))
    }

    /// COPY source destination [DB 0] [REPLACE].
    func copy(_ arguments: Arguments) throws(RESPError) {
        var options: RenameOptions = [.keepsSource, .onlyIfAbsent]
        var index = 3
        while index < arguments.count {
            if arguments.matches(index, "REPLACE") {
                options.remove(.onlyIfAbsent)
            } else if arguments.matches(index, "DB"), index + 1 < arguments.count {
                guard try arguments.integer(index + 1) == 0 else { throw .line("ERR DB index is out of range") }
                index += 1
            } else {
                throw .syntax
            }
            index += 1
        }
        guard !arguments[1].elementsEqual(arguments[2]) else {
            throw .line("ERR source and destination objects are the same")
        }
        try rename(arguments, options, .flag)
    }

    /// Refuses keys of different slots; from the first argument on, one in `step`.
    func requireOneSlot(_ arguments: Arguments, step: Int) throws(RESPError) {
        let slot = Slot(key: arguments[1])
        for index in stride(from: 1 + step, to: arguments.count, by: step) where Slot(key: arguments[index]) != slot {
            throw .crossSlot
        }
    }

    /// On a listener for Cluster clients several keys must be of one slot, as they expect.
    func requireOneSlotIfRedirecting(_ arguments: Arguments, step: Int = 1) throws(RESPError) {
        if shared.settings.isRedirecting { try requireOneSlot(arguments, step: step) }
    }
}
