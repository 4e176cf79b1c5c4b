import KVBase
package import KVService

/// What one write does, decided from the request, the key's present row and the entry's time, and nothing else: the same on
/// every replica and in every replay.
///
/// | request   | reads the row                                   | key absent or expired            | key present                   |
/// |-----------|-------------------------------------------------|----------------------------------|-------------------------------|
/// | put       | if it has a condition, keeps or returns         | sets                             | sets                          |
/// | delete    | unless blind without condition and return       | absent, unless a condition fails | removes                       |
/// | expire    | always                                          | absent                           | by rule; 1 changed, 0 not     |
/// | increment | always                                          | counts as 0, never expires       | adds, keeps the expiry        |
/// | append    | always                                          | counts as empty, never expires   | appends, keeps the expiry     |
/// | set range | always                                          | counts as empty, never expires   | writes, keeps the expiry      |
/// | add decimal | always                                        | counts as 0, never expires       | adds, keeps the expiry        |
/// | sweep     | always                                          | removes if expired, same version | nothing                       |
///
/// A new expiry that is not after the entry's time removes the key. A blind delete removes whatever is there.
package struct Decision {
    /// What becomes of the row.
    package enum Change {
        /// It stays as it is.
        case none
        /// It goes.
        case remove
        /// It gets these bytes, one part after the other.
        case set(UnsafeRawBufferPointer, UnsafeRawBufferPointer, expiresAt: UInt64)
        /// It gets a number in decimal.
        case setNumber(Int64, expiresAt: UInt64)
        /// It gets a number with a fraction in decimal.
        case setDecimal(DecimalNumber, expiresAt: UInt64)
        /// Its bytes, the first, get others in the middle, zeros before those where they are too few.
        case splice(UnsafeRawBufferPointer, UnsafeRawBufferPointer, at: Int, expiresAt: UInt64)
    }

    /// What becomes of the row.
    package var change: Change
    /// How the request ended.
    package var outcome: Reply.Outcome
    /// The reply's number.
    package var integer: Int64 = 0
    /// Whether the reply carries the value from before, where there was one.
    package var returnsPrevious = false
    /// Why it failed.
    package var failure: Failure?

    /// Why a write fails.
    ///
    /// Without text: a decision costs no allocation.
    package enum Failure: Equatable, Sendable {
        case isRead
        case keepsExpiry
        case expiryTooFar
        case notAnInteger
        case sumTooLarge(Int64, Int64)
        case valueTooLong(Int)
        case notADecimal
        case decimalTooLarge
        case isCompound

        /// The same for a person and for the edges' tables.
        package var error: ServiceError {
            switch self {
            case .isRead: ServiceError(.badRequest, "a read stands in the log")
            case .keepsExpiry: ServiceError(.badRequest, "an expire that keeps the expiry changes nothing")
            case .expiryTooFar:
                ServiceError(.outOfRange, "the expiry is past what 63 bits of milliseconds hold")
            case .notAnInteger: ServiceError(.notAnInteger, "the value is not a decimal number of 64 bits")
            case .sumTooLarge(let number, let amount):
                ServiceError(.outOfRange, "\(number) and \(amount) together leave 64 bits")
            case .valueTooLong(let length):
                ServiceError(.outOfRange, "a value of \(length) bytes, over \(Limits.valueBytesMax)")
            case .notADecimal: ServiceError(.notANumber, "the value is not a decimal number below 10^21")
            case .decimalTooLarge: ServiceError(.outOfRange, "the sum is not below 10^21")
            case .isCompound: ServiceError(.badRequest, "this request is not one of a single key")
            }
        }
    }

    /// Whether the request's effect or answer depends on the row.
    package static func readsRow(_ request: Request) -> Bool {
        switch request.body {
        case .get, .head, .expire, .increment, .append, .sweep, .setRange, .addDecimal: true
        case .advanceTime, .rename, .check, .clear, .transaction, .inSession, .once, .openSession, .keepSession,
            .endSession, .sweepRecord:
            false
        case .put(_, let condition, let expiry):
            condition != .none || expiry == .keep || request.flags.contains(.returnPrevious)
        case .delete(let condition):
            condition != .none || !request.flags.contains(.blind) || request.flags.contains(.returnPrevious)
        }
    }

    /// Decides one write.
    ///
    /// - Parameters:
    ///   - request: A write; a read that stands in the log changes nothing and fails.
    ///   - row: The present row, expired or not; nil where there is none or the request does not read it.
    ///   - time: The entry's time.
    package init(_ request: Request, row: StoredValue?, time: UInt64) {
        let live: StoredValue? = if let row, !row.isExpired(at: time) { row } else { nil }
        switch request.body {
        case .get, .head:
            self.init(failing: .isRead)
        case .advanceTime:
            self.init(change: .none, outcome: .done)
        case .put(let value, let condition, let expiry):
            self.init(putting: value, condition, expiry, live, time)
            returnsPrevious = request.flags.contains(.returnPrevious) && failure == nil
        case .delete(let condition):
            self.init(deleting: condition, live, isBlind: !Self.readsRow(request))
            returnsPrevious = request.flags.contains(.returnPrevious)
        case .expire(let expiry, let rule):
            self.init(expiring: expiry, rule, live, time)
            returnsPrevious = request.flags.contains(.returnPrevious) && failure == nil
        case .increment(let amount):
            self.init(adding: amount, live)
        case .append(let suffix):
            self.init(appending: suffix, live)
        case .setRange(let offset, let bytes):
            self.init(writing: bytes, at: Int(offset), live)
        case .addDecimal(let amount):
            self.init(addingDecimal: amount, live)
        case .rename, .check, .clear, .transaction, .inSession, .once, .openSession, .keepSession, .endSession,
            .sweepRecord:
            self.init(failing: .isCompound)
        case .sweep(let version):
            let goes = row.map { $0.version == version && $0.isExpired(at: time) } ?? false
            self.init(change: goes ? .remove : .none, outcome: goes ? .done : .absent)
        }
    }

    private init(change: Change, outcome: Reply.Outcome, integer: Int64 = 0) {
        self.change = change
        self.outcome = outcome
        self.integer = integer
    }

    private init(failing failure: Failure) {
        self.init(change: .none, outcome: .failed)
        self.failure = failure
    }

    private init(
        putting value: UnsafeRawBufferPointer,
        _ condition: Condition,
        _ expiry: Expiry,
        _ live: StoredValue?,
        _ time: UInt64
    ) {
        guard condition.holds(for: live) else {
            self.init(change: .none, outcome: .conditionFailed)
            return
        }
        guard let moment = expiry.moment(at: time, keeping: live?.expiresAt ?? 0) else {
            self.init(failing: .expiryTooFar)
            return
        }
        self.init(
            change: moment.isOver ? .remove : .set(value, .empty, expiresAt: moment.expiresAt),
            outcome: .done
        )
    }

    private init(deleting condition: Condition, _ live: StoredValue?, isBlind: Bool) {
        if isBlind {
            self.init(change: .remove, outcome: .done)
        } else if !condition.holds(for: live) {
            self.init(change: .none, outcome: .conditionFailed)
        } else if live == nil {
            self.init(change: .none, outcome: .absent)
        } else {
            self.init(change: .remove, outcome: .done)
        }
    }

    private init(expiring expiry: Expiry, _ rule: ExpireRule, _ live: StoredValue?, _ time: UInt64) {
        guard expiry != .keep else {
            self.init(failing: .keepsExpiry)
            return
        }
        guard let live else {
            self.init(change: .none, outcome: .absent)
            return
        }
        guard let moment = expiry.moment(at: time, keeping: 0) else {
            self.init(failing: .expiryTooFar)
            return
        }
        let isPermanent = expiry == .none
        // No expiry counts as the latest moment of all.
        let before = live.expiresAt == 0 ? UInt64.max : live.expiresAt
        let after = isPermanent ? UInt64.max : moment.expiresAt
        let applies =
            switch rule {
            case .always: !(isPermanent && live.expiresAt == 0)
            case .ifNone: live.expiresAt == 0 && !isPermanent
            case .ifSome: live.expiresAt != 0
            case .ifLater: after > before
            case .ifEarlier: after < before
            }
        guard applies else {
            self.init(change: .none, outcome: .number, integer: 0)
            return
        }
        let change: Change = moment.isOver ? .remove : .set(live.bytes, .empty, expiresAt: moment.expiresAt)
        self.init(change: change, outcome: .number, integer: 1)
    }

    private init(adding amount: Int64, _ live: StoredValue?) {
        guard let number = live.map({ decimal($0.bytes) }) ?? .some(0) else {
            self.init(failing: .notAnInteger)
            return
        }
        let (sum, overflows) = number.addingReportingOverflow(amount)
        guard !overflows else {
            self.init(failing: .sumTooLarge(number, amount))
            return
        }
        self.init(change: .setNumber(sum, expiresAt: live?.expiresAt ?? 0), outcome: .number, integer: sum)
    }

    private init(addingDecimal amount: UnsafeRawBufferPointer, _ live: StoredValue?) {
        guard let amount = DecimalNumber(amount) else {
            self.init(failing: .notADecimal)
            return
        }
        guard let live else {
            self.init(change: .setDecimal(amount, expiresAt: 0), outcome: .done)
            return
        }
        guard let number = DecimalNumber(live.bytes) else {
            self.init(failing: .notADecimal)
            return
        }
        guard let sum = number.adding(amount) else {
            self.init(failing: .decimalTooLarge)
            return
        }
        self.init(change: .setDecimal(sum, expiresAt: live.expiresAt), outcome: .done)
    }

    private init(writing bytes: UnsafeRawBufferPointer, at offset: Int, _ live: StoredValue?) {
        let present = live?.bytes ?? .empty
        guard !bytes.isEmpty else {
            self.init(change: .none, outcome: .number, integer: Int64(present.count))
            return
        }
        let length = max(present.count, offset + bytes.count)
        guard length <= Limits.valueBytesMax else {
            self.init(failing: .valueTooLong(length))
            return
        }
        self.init(
            change: .splice(present, bytes, at: offset, expiresAt: live?.expiresAt ?? 0),
            outcome: .number,
            integer: Int64(length)
        )
    }

    private init(appending suffix: UnsafeRawBufferPointer, _ live: StoredValue?) {
        let present = live?.bytes ?? .empty
        let length = present.count + suffix.count
        guard length <= Limits.valueBytesMax else {
            self.init(failing: .valueTooLong(length))
            return
        }
        self.init(
            change: .set(present, suffix, expiresAt: live?.expiresAt ?? 0),
            outcome: .number,
            integer: Int64(length)
        )
    }
}

extension Condition {
    /// Whether it holds for a key's row that is not expired.
    func holds(for live: StoredValue?) -> Bool {
        switch self {
        case .none: true
        case .absent: live == nil
        case .present: live != nil
        case .version(let version): (live?.version ?? 0) == version
        }
    }
}

extension Expiry {
    /// When a key with this expiry expires (0 for never) and whether that is over at `time`; nil where the moment is too far.
    fileprivate func moment(at time: UInt64, keeping present: UInt64) -> (expiresAt: UInt64, isOver: Bool)? {
        switch self {
        case .none: return (0, false)
        case .keep: return (present, false)
        case .after(let milliseconds):
            let (sum, overflows) = time.addingReportingOverflow(milliseconds)
            return overflows || sum > TabletRows.expiryMax ? nil : (sum, sum <= time)
        case .at(let milliseconds):
            return milliseconds > TabletRows.expiryMax ? nil : (milliseconds, milliseconds <= time)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}

/// The number that `bytes` write in decimal: an optional minus sign, no leading zero, nothing else; nil for any other bytes and
/// for what 64 bits do not hold.
func decimal(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard !bytes.isEmpty, bytes.count <= 20 else { return nil }
    let isNegative = bytes[0] == UInt8(ascii: "-")
    let digits = bytes[(isNegative ? 1 : 0)...]
    guard let first = digits.first else { return nil }
    if first == UInt8(ascii: "0") { return digits.count == 1 && !isNegative ? 0 : nil }
    var number: Int64 = 0
    for byte in digits {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        let digit = Int64(byte - UInt8(ascii: "0"))
        // Counting downwards holds the smallest number, which has no positive twin.
        let (scaled, tooLong) = number.multipliedReportingOverflow(by: 10)
        let (next, tooFar) = scaled.subtractingReportingOverflow(digit)
        if tooLong || tooFar { return nil }
        number = next
    }
    if isNegative { return number }
    return number == Int64.min ? nil : -number
}
