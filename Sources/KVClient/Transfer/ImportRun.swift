import Foundation
import NIOCore

/// One import under way.
///
/// Everything here belongs to the import's thread.
struct ImportRun {
    enum Event: Sendable {
        case feed(RecordFeed.Event)
        case lane(Int, generation: Int, LaneEvent)
        case stop(String)
    }

    private static let sendRecordsMax = 256
    private static let sendBytesMax = 1 << 20
    private static let tick = Duration.milliseconds(100)
    private static let journalInterval = Duration.seconds(1)

    private let options: ImportOptions
    private let group: any EventLoopGroup
    private let mailbox: Mailbox<Event>
    private let progress: @Sendable (ImportProgress) -> Void
    private let feed: RecordFeed
    private let earlier: ImportJournal?
    private let outputs: ImportOutputs

    private var ledger: ImportLedger
    private var lanes: [ImportLane]
    /// Records read and not yet admitted, a batch at a time, and where in the first batch the next one is.
    private var batches = CircularBuffer<[Record]>()
    private var batchOffset = 0
    private var checksum: UInt32 = 0
    private var records: UInt64 = 0
    private var bytesRead: UInt64 = 0
    private var acknowledgedEarlier: UInt64 = 0
    private var refused: Set<UInt64>
    private var inputEnd: InputEnd = .open
    private var stopped: String?

    private let start: ContinuousClock.Instant
    private var lastAcknowledgement: ContinuousClock.Instant?
    private var longestGap = Duration.zero
    private var lastTick: ContinuousClock.Instant
    private var lastJournal: ContinuousClock.Instant
    private var examples: [ImportSummary.Unacknowledged] = []

    private enum InputEnd {
        case open
        case reached
        case failed(ImportError)
    }

    init(
        endpoints: [Endpoint],
        source: any ByteSource,
        options: ImportOptions,
        group: any EventLoopGroup,
        mailbox: Mailbox<Event>,
        progress: @escaping @Sendable (ImportProgress) -> Void
    ) throws(ImportError) {
        guard !endpoints.isEmpty else { throw .cannotConnect("no endpoint was given") }
        self.options = options
        self.group = group
        self.mailbox = mailbox
        self.progress = progress
        start = .now
        lastTick = start
        lastJournal = start
        earlier =
            options.resumes
            ? try options.stateFile.flatMap { path throws(ImportError) in try ImportJournal.read(path) } : nil
        refused = Set(earlier?.refused ?? [])
        outputs = try ImportOutputs(options, appends: earlier != nil)
        ledger = ImportLedger(
            startingAt: earlier.map { .init(records: $0.records, line: $0.line, checksum: $0.checksum) } ?? .init(),
            inFlightMax: max(1, options.inFlightMax)
        )
        lanes = endpoints.map { [start] in ImportLane($0, at: start) }
        feed = RecordFeed(source, options.specification) { mailbox.post(.feed($0)) }
    }

    mutating func run() throws(ImportError) -> ImportSummary {
        feed.start()
        defer {
            feed.stop()
            for index in lanes.indices { lanes[index].close() }
        }
        while true {
            connect(at: .now)
            let events = mailbox.take(until: nextWake())
            let now = ContinuousClock.now
            for event in events { handle(event, at: now) }
            ledger.wake(at: now)
            if stopped == nil {
                try admit()
                dispatch()
            }
            try housekeeping(at: now)
            if isOver { return try conclude() }
            if let why = try reasonToStop(at: now) {
                stopped = why
                return try conclude()
            }
        }
    }

    // MARK: Events

    private func nextWake() -> ContinuousClock.Instant {
        var wake = lastTick + Self.tick
        if let due = ledger.nextDue { wake = min(wake, due) }
        for lane in lanes {
            if let at = lane.connectAt { wake = min(wake, at) }
        }
        return wake
    }

    private mutating func connect(at now: ContinuousClock.Instant) {
        guard stopped == nil else { return }
        let connection = RESPConnection.Options(
            connectTimeout: options.connectTimeout,
            requestTimeout: options.requestTimeout,
            inFlightMax: max(1, options.inFlightMax),
            credentials: options.credentials,
            tls: options.tls
        )
        for index in lanes.indices {
            guard let at = lanes[index].connectAt, at <= now else { continue }
            let generation = lanes[index].connecting()
            let mailbox = self.mailbox
            RESPConnection.start(to: lanes[index].endpoint, options: connection, on: group).whenComplete { result in
                let event: LaneEvent =
                    switch result {
                    case .success(let connection): .connected(connection)
                    case .failure(let error): .connectFailed(RESPConnection.reason(error))
                    }
                mailbox.post(.lane(index, generation: generation, event))
            }
        }
    }

    private mutating func handle(_ event: Event, at now: ContinuousClock.Instant) {
        switch event {
        case .stop(let why): stopped = stopped ?? why
        case .feed(.records(let batch, let bytes)):
            batches.append(batch)
            bytesRead = bytes
        case .feed(.ended(let error, let bytes)):
            bytesRead = bytes
            inputEnd = error.map { .failed($0) } ?? .reached
        case .lane(let index, let generation, let event):
            guard generation == lanes[index].generation else {
                if case .connected(let connection) = event { connection.close() }
                return
            }
            handle(event, lane: index, generation, at: now)
        }
    }

    private mutating func handle(
        _ event: LaneEvent,
        lane index: Int,
        _ generation: Int,
        at now: ContinuousClock.Instant
    ) {
        switch event {
        case .connected(let connection):
            let mailbox = self.mailbox
            let sink = LaneSink { mailbox.post(.lane(index, generation: generation, $0)) }
            lanes[index].connected(connection, sink)
            // An idle connection's end is no one's failure, so nobody else would hear of it.
            connection.closeFuture.whenComplete { _ in
                mailbox.post(.lane(index, generation: generation, .lost(.connectionLost("closed by the node"))))
            }
        case .connectFailed(let why):
            lanes[index].connectFailed("\(lanes[index].endpoint): \(why)", at: now)
        case .lost(let error):
            guard lanes[index].isUp else { return }
            for sequence in lanes[index].lost("\(lanes[index].endpoint): \(error)", at: now) {
                ledger.fail(sequence, at: now)
            }
        case .replies(let replies, let at):
            for reply in replies {
                guard let sequence = lanes[index].answered() else { break }
                settle(sequence, reply, lane: index, at: at)
            }
        }
    }

    private mutating func settle(
        _ sequence: UInt64,
        _ reply: RESPValue,
        lane index: Int,
        at time: ContinuousClock.Instant
    ) {
        switch reply {
        case .simple("OK"):
            lanes[index].proved()
            let record = ledger.acknowledge(sequence)
            if let last = lastAcknowledgement { longestGap = max(longestGap, time - last) }
            lastAcknowledgement = time
            refused.remove(record.ordinal)
            outputs.acknowledged(record)
        case .error(let code, let message) where ReplyCode(code) == .final:
            refuse(sequence, "\(code) \(message)")
        case .error:
            ledger.fail(sequence, at: time)
        default:
            refuse(sequence, "the node answered \(reply)")
        }
    }

    private mutating func refuse(_ sequence: UInt64, _ why: String) {
        let record = ledger.reject(sequence)
        refused.insert(record.ordinal)
        report(record, "refused: \(why)")
        if refused.count >= ClientLimits.importRejectedMax {
            stopped = stopped ?? "\(refused.count) records were refused"
        }
    }

    private mutating func report(_ record: Record, _ reason: String) {
        let entry = ImportSummary.Unacknowledged(line: record.line, key: escapedText(record.key), reason: reason)
        if examples.count < 20 { examples.append(entry) }
        outputs.unacknowledged("\(record.line)\t\(entry.key)\t\(reason)")
    }

    // MARK: Sending

    /// Moves records from what was read into the ledger, as far as it has room; passes over those that an earlier run settled.
    private mutating func admit() throws(ImportError) {
        while ledger.hasRoom, let batch = batches.first {
            let record = batch[batchOffset]
            checksum = ImportLedger.checksum(record, after: checksum)
            records = record.ordinal + 1
            if let earlier, record.ordinal < earlier.records {
                if records == earlier.records, checksum != earlier.checksum {
                    throw .otherInput(path: options.stateFile ?? "", records: earlier.records)
                }
                if refused.contains(record.ordinal) {
                    ledger.admit(record, mark: ledger.mark)
                } else {
                    acknowledgedEarlier += 1
                }
            } else {
                ledger.admit(record, mark: .init(records: records, line: record.line, checksum: checksum))
            }
            batchOffset += 1
            if batchOffset == batch.count {
                batches.removeFirst()
                batchOffset = 0
                feed.batchTaken()
            }
        }
        if case .reached = inputEnd, batches.isEmpty, let earlier, records < earlier.records {
            throw .otherInput(path: options.stateFile ?? "", records: earlier.records)
        }
    }

    /// Hands what is ready to the connections, each up to its share, the emptiest first.
    private mutating func dispatch() {
        let up = lanes.indices.filter { lanes[$0].isUp }
        guard !up.isEmpty else { return }
        let share = max(1, options.inFlightMax / up.count)
        for index in up.sorted(by: { lanes[$0].inFlight.count < lanes[$1].inFlight.count }) {
            while ledger.hasReady, lanes[index].inFlight.count < share {
                var commands = RESPCommands(reserving: 16 * 1024)
                var sequences: [UInt64] = []
                let most = min(Self.sendRecordsMax, share - lanes[index].inFlight.count)
                while sequences.count < most, commands.buffer.readableBytes < Self.sendBytesMax,
                    let (sequence, record) = ledger.take()
                {
                    commands.appendSet(key: record.key, value: record.value)
                    sequences.append(sequence)
                }
                lanes[index].send(commands, sequences)
            }
        }
    }

    // MARK: The end

    private var isOver: Bool {
        if stopped != nil { return true }
        guard ledger.unsettled == 0, batches.isEmpty else { return false }
        if case .open = inputEnd { return false }
        return true
    }

    private func reasonToStop(at now: ContinuousClock.Instant) throws(ImportError) -> String? {
        let failures = lanes.compactMap(\.lastFailure).joined(separator: "; ")
        let neverConnected = lanes.allSatisfy { $0.failures > 0 && !$0.isUp } && lastAcknowledgement == nil
        if neverConnected, lanes.allSatisfy({ $0.generation == $0.failures }), now - start > options.requestTimeout {
            throw .cannotConnect(failures)
        }
        guard ledger.unsettled > 0, now - (lastAcknowledgement ?? start) > options.giveUpAfter else { return nil }
        return "no record was acknowledged for \(options.giveUpAfter)" + (failures.isEmpty ? "" : " (\(failures))")
    }

    private mutating func housekeeping(at now: ContinuousClock.Instant) throws(ImportError) {
        if now - lastTick >= Self.tick {
            lastTick = now
            outputs.progress(acknowledgedEarlier + ledger.acknowledged)
            progress(
                ImportProgress(
                    acknowledged: acknowledgedEarlier + ledger.acknowledged,
                    bytesRead: bytesRead,
                    elapsed: now - start,
                    retried: ledger.retried
                )
            )
        }
        if now - lastJournal >= Self.journalInterval {
            lastJournal = now
            outputs.journal(journal)
        }
        try outputs.check()
    }

    private var journal: ImportJournal {
        let mark = ledger.mark
        // What was refused behind the mark is sent again anyway.
        let passed = refused.filter { $0 < mark.records }.sorted()
        return ImportJournal(records: mark.records, line: mark.line, checksum: mark.checksum, refused: passed)
    }

    private mutating func conclude() throws(ImportError) -> ImportSummary {
        let now = ContinuousClock.now
        if case .failed(let error) = inputEnd, stopped == nil {
            guard acknowledgedEarlier + ledger.acknowledged > 0 else { throw error }
            stopped = error.description
        }
        let left = ledger.unacknowledged()
        for (record, wasSent) in left { report(record, wasSent ? "sent, outcome unknown" : "not sent") }
        let firstUnsent = firstUnsentLine()
        if let firstUnsent { outputs.unacknowledged("\(firstUnsent)-\t\tnot sent: this line and all that follow") }
        let seconds = (now - start) / .seconds(1)
        let summary = ImportSummary(
            records: records,
            acknowledged: acknowledgedEarlier + ledger.acknowledged,
            acknowledgedEarlier: acknowledgedEarlier,
            refused: UInt64(refused.count),
            unacknowledged: UInt64(left.count { !refused.contains($0.record.ordinal) } + refused.count),
            retried: ledger.retried,
            seconds: seconds,
            recordsPerSecond: seconds > 0 ? Double(ledger.acknowledged) / seconds : 0,
            longestGapMilliseconds: longestGap / .milliseconds(1),
            stopped: stopped,
            firstUnsentLine: firstUnsent,
            examples: examples
        )
        try outputs.finish(acknowledged: summary.acknowledged, state: summary.isComplete ? nil : journal)
        return summary
    }

    /// Where the part begins that was never even admitted; nil where the whole input was.
    private func firstUnsentLine() -> UInt64? {
        if let batch = batches.first { return batch[batchOffset].line }
        switch inputEnd {
        case .reached: return nil
        case .failed(.badRecord(let error)): return error.line
        case .failed, .open: return lastReadLine + 1
        }
    }

    private var lastReadLine: UInt64 { ledger.unacknowledged().last?.record.line ?? ledger.mark.line }
}
