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
        var expiry = Expiry.none
        if arguments.matches(2, "PERSIST"), arguments.count == 3 {
            expiry = .none
        } else if arguments.count == 4 {
            expiry = try expiryOption(arguments, 2, "getex")
        } else {
            throw .syntax
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
        let bytesMax = shared.limits.valueBytesMax
        guard offset <= bytesMax, Int(offset) + arguments[3].count <= bytesMax else {
            throw .line("ERR string exceeds maximum allowed size (\(bytesMax) bytes)")
        }
        batch.setRange(key, at: UInt64(offset), arguments[3], tag: expect(.number, .write))
    }

    func incrementByDecimal(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        guard DecimalNumber(arguments[2]) != nil else { throw .line("ERR value is not a valid float") }
        batch.addDecimal(key, arguments[2], tag: expect(.value, .write))
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

    /// EX, PX, EXAT or PXAT at `index` and the number behind it.
    func expiryOption(_ arguments: Arguments, _ index: Int, _ command: String) throws(RESPError) -> Expiry {
        guard index + 1 < arguments.count else { throw .syntax }
        let isSeconds: Bool
        let isAbsolute: Bool
        if arguments.matches(index, "EX") {
            (isSeconds, isAbsolute) = (true, false)
        } else if arguments.matches(index, "PX") {
            (isSeconds, isAbsolute) = (false, false)
        } else if arguments.matches(index, "EXAT") {
            (isSeconds, isAbsolute) = (true, true)
        } else if arguments.matches(index, "PXAT") {
            (isSeconds, isAbsolute) = (false, true)
        } else {
            throw .syntax
        }
        let time = try arguments.integer(index + 1)
        let (milliseconds, overflowed) = time.multipliedReportingOverflow(by: isSeconds ? 1_000 : 1)
        guard time > 0, !overflowed else { throw .invalidExpire(command) }
        return isAbsolute ? .at(milliseconds: UInt64(milliseconds)) : .after(milliseconds: UInt64(milliseconds))
    }
}
