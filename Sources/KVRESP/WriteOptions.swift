import KVBase
import KVService

/// What follows key and value in SET, and the key in GETEX: read whole before the time in it is looked at, as Redis does.
struct WriteOptions {
    /// In which unit a time is, and from when it counts.
    enum Unit: Equatable {
        case seconds
        case milliseconds
        case unixSeconds
        case unixMilliseconds
    }

    var condition = Condition.none
    var returnsPrevious = false
    var keepsExpiry = false
    var removesExpiry = false
    /// The time's unit and the argument that says it; what is said twice alike counts as it was said last.
    var time: (unit: Unit, index: Int)?

    /// Reads the arguments from `index` on.
    init(_ arguments: Arguments, from index: Int, isSet: Bool) throws(RESPError) {
        var index = index
        while index < arguments.count {
            if isSet, arguments.matches(index, "NX"), condition != .present {
                condition = .absent
            } else if isSet, arguments.matches(index, "XX"), condition != .absent {
                condition = .present
            } else if isSet, arguments.matches(index, "GET") {
                returnsPrevious = true
            } else if isSet, arguments.matches(index, "KEEPTTL"), time == nil {
                keepsExpiry = true
            } else if !isSet, arguments.matches(index, "PERSIST"), time == nil {
                removesExpiry = true
            } else if let unit = Self.unit(arguments, index), index + 1 < arguments.count, !keepsExpiry,
                !removesExpiry, time.map({ $0.unit == unit }) ?? true
            {
                index += 1
                time = (unit, index)
            } else {
                throw .syntax
            }
            index += 1
        }
    }

    private static func unit(_ arguments: Arguments, _ index: Int) -> Unit? {
        if arguments.matches(index, "EX") { return .seconds }
        if arguments.matches(index, "PX") { return .milliseconds }
        if arguments.matches(index, "EXAT") { return .unixSeconds }
        return arguments.matches(index, "PXAT") ? .unixMilliseconds : nil
    }

    /// The expiry that they ask for.
    func expiry(_ arguments: Arguments, _ command: String, now: UInt64) throws(RESPError) -> Expiry {
        guard let (unit, index) = time else { return keepsExpiry ? .keep : .none }
        let number = try arguments.integer(index)
        let isSeconds = unit == .seconds || unit == .unixSeconds
        let (milliseconds, overflowed) = number.multipliedReportingOverflow(by: isSeconds ? 1_000 : 1)
        guard number > 0, !overflowed else { throw .invalidExpire(command) }
        if unit == .unixSeconds || unit == .unixMilliseconds { return .at(milliseconds: UInt64(milliseconds)) }
        let (_, isTooLate) = milliseconds.addingReportingOverflow(Int64(clamping: now))
        guard !isTooLate else { throw .invalidExpire(command) }
        return .after(milliseconds: UInt64(milliseconds))
    }
}
