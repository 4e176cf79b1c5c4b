/// What an error reply means for the request it answers.
enum ReplyCode: Equatable {
    /// It had no effect and may have one elsewhere or later.
    case retryable
    /// It may or may not have taken effect.
    case unknown
    /// It had no effect and will have none.
    case final

    init(_ code: String) {
        switch code {
        case "CLUSTERDOWN", "TRYAGAIN", "OVERLOADED", "DISKFULL", "LOADING", "MASTERDOWN", "READONLY", "MOVED", "ASK":
            self = .retryable
        case "UNKNOWN": self = .unknown
        default: self = .final
        }
    }
}

/// Waits that double.
struct BackOff {
    private var wait: Duration
    private let longest: Duration

    init(from shortest: Duration, to longest: Duration) {
        wait = shortest
        self.longest = longest
    }

    mutating func next() -> Duration {
        defer { wait = min(wait * 2, longest) }
        return wait
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero; the bounds of `Int64` where it is longer.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? (seconds < 0 ? .min : .max) : whole + attoseconds / 1_000_000_000_000_000
    }
}
