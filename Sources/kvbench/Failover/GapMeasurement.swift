/// An answer, or the news that none will come, and when it came.
struct ProbeEvent: Equatable {
    var nanoseconds: UInt64
    var succeeded: Bool
}

/// How long a cluster did not serve.
enum GapMeasurement {
    /// So many successes in a row mean that it serves.
    static let rowLength = 10

    /// The longest time without service, in nanoseconds; nil where the events do not begin and end with service.
    ///
    /// A cluster serves while successes come in rows of ten or more without a failure between them; a success here and there is
    /// none. A gap goes from the last success of one row to the first of the next.
    static func longest(_ events: [ProbeEvent]) -> UInt64? {
        var longest: UInt64?
        var lastOfRow: UInt64?
        for row in rows(events) {
            var last = lastOfRow ?? row[row.startIndex].nanoseconds
            for event in row {
                longest = max(longest ?? 0, event.nanoseconds >= last ? event.nanoseconds - last : 0)
                last = event.nanoseconds
            }
            lastOfRow = last
        }
        return longest
    }

    /// The place behind the tenth success of the first row that begins at `start` or later; nil where there is none yet.
    static func recovered(_ events: [ProbeEvent], from start: Int) -> Int? {
        var inRow = 0
        for place in start..<max(start, events.count) {
            inRow = events[place].succeeded ? inRow + 1 : 0
            if inRow == rowLength { return place + 1 }
        }
        return nil
    }

    private static func rows(_ events: [ProbeEvent]) -> [ArraySlice<ProbeEvent>] {
        events.split { !$0.succeeded }.filter { $0.count >= rowLength }
    }
}
