import Foundation
import Synchronization

/// Reads and parses an import's input on a thread of its own, some batches ahead of whoever takes them.
final class RecordFeed: Sendable {
    /// What the reader has to say, in order.
    enum Event: Sendable {
        case records([Record], bytesRead: UInt64)
        /// The input is read, or can not be read on.
        case ended(ImportError?, bytesRead: UInt64)
    }

    private static let batchRecordsMax = 512
    /// A batch is also full at this size, so that what waits is bounded by bytes too.
    private static let batchBytesMax = 1 << 20
    private static let batchesAheadMax = 8

    private let source: any ByteSource
    private let specification: RecordSpecification
    private let deliver: @Sendable (Event) -> Void
    private let room = DispatchSemaphore(value: RecordFeed.batchesAheadMax)
    private let isStopped = Atomic<Bool>(false)

    init(_ source: any ByteSource, _ specification: RecordSpecification, deliver: @escaping @Sendable (Event) -> Void) {
        self.source = source
        self.specification = specification
        self.deliver = deliver
    }

    func start() {
        let thread = Thread { self.run() }
        thread.name = "import-reader"
        thread.start()
    }

    /// Says that a batch was used up, which lets another be read.
    func batchTaken() { room.signal() }

    /// Ends the reading at the next batch; nothing is delivered for certain after this.
    func stop() {
        isStopped.store(true, ordering: .releasing)
        room.signal()
    }

    private func run() {
        var reader = RecordReader(specification)
        var batch: [Record] = []
        var batchBytes = 0
        var bytesRead: UInt64 = 0

        func flush() {
            guard !batch.isEmpty else { return }
            room.wait()
            deliver(.records(batch, bytesRead: bytesRead))
            batch = []
            batchBytes = 0
        }

        do {
            var isAtEnd = false
            while !isAtEnd, !isStopped.load(ordering: .acquiring) {
                let piece = try source.read()
                bytesRead += UInt64(piece.count)
                isAtEnd = piece.isEmpty
                if isAtEnd { reader.finish() } else { reader.feed(piece) }
                while let record = try reader.next() {
                    batchBytes += record.key.count + record.value.count
                    batch.append(record)
                    if batch.count == Self.batchRecordsMax || batchBytes >= Self.batchBytesMax {
                        flush()
                        if isStopped.load(ordering: .acquiring) { return }
                    }
                }
                // A pipe that trickles is not held back until a batch is full.
                flush()
            }
            deliver(.ended(nil, bytesRead: bytesRead))
        } catch let error as RecordError {
            flush()
            deliver(.ended(.badRecord(error), bytesRead: bytesRead))
        } catch {
            flush()
            deliver(.ended(.cannotRead("\(error)"), bytesRead: bytesRead))
        }
    }
}
