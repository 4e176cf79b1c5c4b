import KVBase
import NIOCore

/// What an import knows of every record between the first unacknowledged one and the last admitted: plain state, no clock, no
/// connection.
///
/// | state        | event                         | then                                                    |
/// |--------------|-------------------------------|---------------------------------------------------------|
/// | waiting      | the record before it with the same key is settled | ready                               |
/// | ready        | `take`                        | inFlight                                                |
/// | inFlight     | `acknowledged`                | acknowledged; the next record of the key becomes ready  |
/// | inFlight     | `failed` (no effect or unknown) | delayed                                               |
/// | delayed      | its time has come             | ready                                                   |
/// | inFlight     | `rejected`                    | rejected; the next record of the key becomes ready      |
///
/// One record of a key at a time is in flight, so retries never let an older value overtake a newer one of the file. The
/// records held are bounded twice: unsettled ones by `inFlightMax`, all by `spanMax`.
struct ImportLedger {
    enum State: Equatable {
        case waiting
        case ready
        case inFlight
        case delayed
        case acknowledged
        case rejected
    }

    private struct Entry {
        var record: Record
        var state: State
        var attempts = 0
        /// The next record with the same key, which waits for this one.
        var successor: UInt64?
        /// How far the import is once this record and all before it are settled.
        let mark: Mark
    }

    /// Up to where all records are settled: what a resumed import need not send.
    struct Mark: Equatable {
        /// How many records, from the first on, are acknowledged or refused.
        var records: UInt64 = 0
        /// The line of the last of them.
        var line: UInt64 = 0
        /// The chained checksum of them.
        var checksum: UInt32 = 0
    }

    private let inFlightMax: Int
    private let spanMax: Int
    private let retryDelay: Duration
    private var entries = CircularBuffer<Entry>()
    private var lastOfKey: [[UInt8]: UInt64] = [:]
    private var ready = CircularBuffer<UInt64>()
    /// All wait equally long, so the first is due first.
    private var delayed = CircularBuffer<(due: ContinuousClock.Instant, sequence: UInt64)>()
    /// The sequence number of the first entry.
    ///
    /// Sequence numbers count what was admitted, from 0 on.
    private var base: UInt64 = 0

    /// Up to where all is settled.
    private(set) var mark: Mark
    private(set) var unsettled = 0
    private(set) var acknowledged: UInt64 = 0
    private(set) var rejected: UInt64 = 0
    private(set) var retried: UInt64 = 0

    init(
        startingAt mark: Mark = Mark(),
        inFlightMax: Int,
        spanMax: Int = ClientLimits.importSpanMax,
        retryDelay: Duration = .milliseconds(20)
    ) {
        self.mark = mark
        self.inFlightMax = inFlightMax
        self.spanMax = spanMax
        self.retryDelay = retryDelay
    }

    /// Whether another record may be admitted.
    var hasRoom: Bool { unsettled < inFlightMax && entries.count < spanMax }

    /// Whether something can be sent at once.
    var hasReady: Bool { !ready.isEmpty }

    /// When the next delayed record is due.
    var nextDue: ContinuousClock.Instant? { delayed.first?.due }

    /// The checksum of the records up to and with `record`, where `seed` is that of those before it.
    static func checksum(_ record: Record, after seed: UInt32) -> UInt32 {
        let sizes = CRC32C.checksum(of: UInt64(record.key.count) << 32 | UInt64(record.value.count), seed: seed)
        return CRC32C.checksum(record.value, seed: CRC32C.checksum(record.key, seed: sizes))
    }

    /// Takes in a record; once it and all before it are settled, the import has come to `mark`.
    /// - Precondition: `hasRoom`.
    mutating func admit(_ record: Record, mark: Mark) {
        precondition(hasRoom, "\(unsettled) unsettled of \(entries.count) records")
        let sequence = base + UInt64(entries.count)
        var state = State.ready
        if let previous = lastOfKey[record.key] {
            entries[place(previous)].successor = sequence
            state = .waiting
        } else {
            ready.append(sequence)
        }
        lastOfKey[record.key] = sequence
        entries.append(Entry(record: record, state: state, mark: mark))
        unsettled += 1
    }

    /// Moves due records to the ready ones.
    mutating func wake(at now: ContinuousClock.Instant) {
        while let first = delayed.first, first.due <= now {
            delayed.removeFirst()
            entries[place(first.sequence)].state = .ready
            ready.append(first.sequence)
        }
    }

    /// The next record to send, now in flight.
    mutating func take() -> (sequence: UInt64, record: Record)? {
        guard let sequence = ready.popFirst() else { return nil }
        let place = place(sequence)
        entries[place].state = .inFlight
        if entries[place].attempts > 0 { retried += 1 }
        entries[place].attempts += 1
        return (sequence, entries[place].record)
    }

    /// The record was stored.
    ///
    /// Returns it.
    mutating func acknowledge(_ sequence: UInt64) -> Record {
        let record = settle(sequence, as: .acknowledged)
        acknowledged += 1
        advance()
        return record
    }

    /// The record was refused for good.
    ///
    /// Returns it.
    mutating func reject(_ sequence: UInt64) -> Record {
        let record = settle(sequence, as: .rejected)
        rejected += 1
        advance()
        return record
    }

    /// The record was not stored, or nobody knows: it is sent again after a while.
    ///
    /// Sending the same key and value twice does no harm, since the import owns its keys while it runs.
    mutating func fail(_ sequence: UInt64, at now: ContinuousClock.Instant) {
        let place = place(sequence)
        precondition(entries[place].state == .inFlight, "record \(sequence) is \(entries[place].state)")
        entries[place].state = .delayed
        delayed.append((due: now + retryDelay, sequence: sequence))
    }

    /// The records that are neither acknowledged nor refused, in the file's order, and whether each was ever sent.
    func unacknowledged() -> [(record: Record, wasSent: Bool)] {
        entries.lazy.filter { $0.state != .acknowledged && $0.state != .rejected }.map { ($0.record, $0.attempts > 0) }
    }

    private func place(_ sequence: UInt64) -> CircularBuffer<Entry>.Index {
        precondition(sequence >= base && sequence - base < UInt64(entries.count), "record \(sequence) is not here")
        return entries.index(entries.startIndex, offsetBy: Int(sequence - base))
    }

    private mutating func settle(_ sequence: UInt64, as state: State) -> Record {
        let place = place(sequence)
        precondition(entries[place].state == .inFlight, "record \(sequence) is \(entries[place].state)")
        let record = entries[place].record
        entries[place].state = state
        // What is settled may wait long for the mark to pass it: its bytes go now.
        entries[place].record.key = []
        entries[place].record.value = []
        unsettled -= 1
        if let successor = entries[place].successor {
            entries[self.place(successor)].state = .ready
            ready.append(successor)
        } else {
            lastOfKey[record.key] = nil
        }
        return record
    }

    private mutating func advance() {
        while let first = entries.first, first.state == .acknowledged || first.state == .rejected {
            entries.removeFirst()
            base += 1
            mark = first.mark
        }
    }
}
