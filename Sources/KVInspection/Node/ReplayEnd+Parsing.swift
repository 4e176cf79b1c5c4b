extension WALReplay.ReplayEnd {
    /// An index (`1234`), a time in milliseconds since 1970 (`time:1772366400000`) or one in UTC (`2026-03-01T12:00:00Z`, with or
    /// without a fraction of the second); nil where `text` is none of these.
    package init?(_ text: String) {
        if let index = UInt64(text) {
            self = .index(index)
        } else if text.hasPrefix("time:"), let time = UInt64(text.dropFirst(5)) {
            self = .time(time)
        } else if let time = Self.milliseconds(text) {
            self = .time(time)
        } else {
            return nil
        }
    }

    /// RFC 3339, in UTC.
    private static func milliseconds(_ text: String) -> UInt64? {
        guard let match = text.wholeMatch(of: #/(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?[Zz]/#),
            let year = Int64(match.output.1), let month = Int64(match.output.2), let day = Int64(match.output.3),
            let hour = Int64(match.output.4), let minute = Int64(match.output.5), let second = Int64(match.output.6),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60, year >= 1970
        else { return nil }
        // Days from civil: March begins the year, so that the leap day ends it (Hinnant's well-known sums).
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let fraction = String((match.output.7.map(String.init) ?? "0").prefix(3))
        let padded = Int64(fraction + String(repeating: "0", count: 3 - fraction.count)) ?? 0
        let total = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + padded
        return UInt64(exactly: total)
    }
}
