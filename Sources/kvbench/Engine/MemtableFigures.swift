import Foundation
import KVStorage

/// The figures of the memtable by itself, each over `--num` inserts.
///
/// Keys and values lie ready before the clock starts; the clock is read at the ends only, since a look at it takes as long as an
/// append.
enum MemtableFigures {
    /// How many keys are there before the inserts of `memtableinsert`.
    static let resident: UInt64 = 200_000

    static func run(_ workload: Workload, _ settings: EngineSettings) throws -> WorkloadReport {
        let count = Int(settings.count)
        let keys = Keys(count: count, keyBytes: settings.keyBytes)
        let value = UnsafeMutableRawBufferPointer.allocate(byteCount: settings.valueBytes, alignment: 16)
        value.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "v"))
        defer { value.deallocate() }
        let bytes = UnsafeRawBufferPointer(value)
        let perEntry = 96 + settings.keyBytes + settings.valueBytes
        let before = ProcessUsage()
        var allocated = 0
        let seconds: Double
        switch workload {
        case .memtableappend:
            let probe = MemtableProbe(capacity: min(perEntry * (count + 1) + 4096, Int(UInt32.max) - 1))
            (seconds, allocated) = measure { for number in 0..<count { probe.insert(keys.ordered(number), bytes) } }
        case .memtableinsert:
            (seconds, allocated) = insertIntoResident(keys.shuffled(), count, bytes, perEntry)
        default:
            let arrays = (0..<count).map { [UInt8](keys.ordered($0)) }
            let array = [UInt8](bytes)
            var dictionary: [[UInt8]: [UInt8]] = [:]
            (seconds, allocated) = measure { for key in arrays { dictionary[key] = array } }
            guard dictionary.count == count else { throw BenchmarkError("\(dictionary.count) keys of \(count)") }
        }
        let tally = ThreadTally()
        tally.operations = UInt64(count)
        tally.bytes = UInt64(count * (settings.keyBytes + settings.valueBytes))
        var report = WorkloadReport(
            workload: workload,
            threads: 1,
            seconds: seconds,
            tally: tally,
            looksFor: false
        )
        report.cpuSeconds = ProcessUsage().cpuSeconds - before.cpuSeconds
        report.peakRSSBytes = ProcessUsage.peakBytes
        report.more["allocatedBytesPerOp"] = Double(allocated) / Double(max(count, 1))
        return report
    }

    /// Random inserts into memtables that hold `resident` keys.
    ///
    /// The list must not outgrow what the figure is for: each is given a tenth as many, and then another is taken.
    private static func insertIntoResident(
        _ keys: Keys,
        _ count: Int,
        _ value: UnsafeRawBufferPointer,
        _ perEntry: Int
    ) -> (seconds: Double, allocated: Int) {
        let round = Int(resident) / 10
        let first = Keys(count: Int(resident), keyBytes: keys.keyBytes, seed: 7).shuffled()
        var sum = (seconds: 0.0, allocated: 0)
        for start in stride(from: 0, to: count, by: round) {
            let probe = MemtableProbe(
                capacity: min(perEntry * (Int(resident) + round + 1) + 4096, Int(UInt32.max) - 1)
            )
            for number in 0..<Int(resident) { probe.insert(first.ordered(number), value) }
            let part = measure {
                for number in start..<min(start + round, count) { probe.insert(keys.ordered(number), value) }
            }
            sum = (sum.seconds + part.seconds, sum.allocated + part.allocated)
        }
        return sum
    }

    /// How long `body` takes, and by how many bytes the heap grows in it.
    private static func measure(_ body: () -> Void) -> (seconds: Double, allocated: Int) {
        let heap = MemtableProbe.heapBytes
        let start = nowNanoseconds()
        body()
        let end = nowNanoseconds()
        return (Double(end - start) / 1e9, MemtableProbe.heapBytes - heap)
    }
}

/// Keys that lie ready in one piece of memory, in order and drawn at random (each once).
private final class Keys {
    private let memory: UnsafeMutableRawBufferPointer
    let keyBytes: Int
    private let count: Int
    private let seed: UInt64

    init(count: Int, keyBytes: Int, seed: UInt64 = 1) {
        self.keyBytes = keyBytes
        self.count = count
        self.seed = seed
        memory = .allocate(byteCount: max(1, count * keyBytes), alignment: 16)
        for number in 0..<count { set(number, at: number) }
    }

    /// The same, in an order drawn at random: who takes them one after the other finds each key in the cache, as a request's is.
    func shuffled() -> Keys {
        var random = MersenneTwister64(seed: seed)
        var order = (0..<count).map { $0 }
        for index in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(index, Int(random.next() % UInt64(index + 1)))
        }
        for (place, number) in order.enumerated() { set(number, at: place) }
        return self
    }

    private func set(_ number: Int, at place: Int) {
        let key = KeyBuffer(count: keyBytes)
        // Seeds apart, so that residents and newcomers interleave.
        key.set(UInt64(number) &* 1000 &+ seed)
        UnsafeMutableRawBufferPointer(rebasing: memory[(place * keyBytes)..<((place + 1) * keyBytes)])
            .copyMemory(from: key.bytes)
    }

    deinit { memory.deallocate() }

    @inline(__always)
    func ordered(_ number: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[(number &* keyBytes)..<(number &* keyBytes &+ keyBytes)])
    }
}
