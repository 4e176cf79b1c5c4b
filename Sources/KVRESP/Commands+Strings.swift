import KVBase
import KVService

// Commands on values: each reads its arguments, takes a slot and adds its requests to the connection's batch.

extension RESPConnection {
    /// A key, refused where it is too long.
    func key(_ arguments: Arguments, _ index: Int) throws(RESPError) -> UnsafeRawBufferPointer {
        let key = arguments[index]
        guard key.count <= shared.limits.keyBytesMax else {
            throw .line("ERR key of \(key.count) bytes is over the limit of \(shared.limits.keyBytesMax)")
        }
        return key
    }

    func get(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.get(key, tag: expect(.value, .read), consistency: consistency)
    }

    func set(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        guard arguments.count > 3 else {
            return batch.put(key, arguments[2], tag: expect(.ok, .write))
        }
        let options = try WriteOptions(arguments, from: 3, isSet: true)
        let expiry = try options.expiry(arguments, "set", now: shared.settings.now())
        let shape: ReplyShape = options.returnsPrevious ? .value : .ok
        batch.put(
            key,
            arguments[2],
            tag: expect(shape, .write),
            condition: options.condition,
            expiry: expiry,
            flags: options.returnsPrevious ? .returnPrevious : []
        )
    }

    func setIfAbsent(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.put(key, arguments[2], tag: expect(.flag, .write), condition: .absent)
    }

    func setExpiring(_ arguments: Arguments, _ name: String, millisecondsPerUnit: Int64) throws(RESPError) {
        let key = try key(arguments, 1)
        let time = try arguments.integer(2)
        let (milliseconds, overflowed) = time.multipliedReportingOverflow(by: millisecondsPerUnit)
        let (_, isTooLate) = milliseconds.addingReportingOverflow(Int64(clamping: shared.settings.now()))
        guard time > 0, !overflowed, !isTooLate else { throw .invalidExpire(name) }
        batch.put(
            key,
            arguments[3],
            tag: expect(.ok, .write),
            expiry: .after(milliseconds: UInt64(milliseconds))
        )
    }

    func getAndSet(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.put(key, arguments[2], tag: expect(.value, .write), flags: .returnPrevious)
    }

    func getAndDelete(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.delete(key, tag: expect(.value, .write), flags: .returnPrevious)
    }

    func getMany(_ arguments: Arguments) throws(RESPError) {
        let parts = arguments.count - 1
        for index in 1...parts { _ = try key(arguments, index) }
        try requireOneSlotIfRedirecting(arguments)
        let tag = expect(parts: parts, .values, .read)
        for part in 0..<parts { batch.get(arguments[part + 1], tag: tag + UInt64(part), consistency: consistency) }
    }

    func setMany(_ arguments: Arguments) throws(RESPError) {
        guard arguments.count % 2 == 1 else { throw .wrongArity("mset") }
        let parts = (arguments.count - 1) / 2
        for part in 0..<parts { _ = try key(arguments, 2 * part + 1) }
        try requireOneSlotIfRedirecting(arguments, step: 2)
        let tag = expect(parts: parts, .allOK, .write)
        for part in 0..<parts {
            batch.put(
                arguments[2 * part + 1],
                arguments[2 * part + 2],
                tag: tag + UInt64(part),
                joinsPrevious: part > 0
            )
        }
    }

    func append(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.append(key, arguments[2], tag: expect(.number, .write))
    }

    func length(_ arguments: Arguments) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.head(key, tag: expect(.length, .read), consistency: consistency)
    }

    func increment(_ arguments: Arguments, by amount: Int64) throws(RESPError) {
        let key = try key(arguments, 1)
        batch.increment(key, by: amount, tag: expect(.number, .write))
    }

    func incrementBy(_ arguments: Arguments, isNegated: Bool) throws(RESPError) {
        let amount = try arguments.integer(2)
        guard isNegated else { return try increment(arguments, by: amount) }
        guard amount != .min else { throw .line("ERR decrement would overflow") }
        try increment(arguments, by: -amount)
    }
}
