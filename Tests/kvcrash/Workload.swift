import KVBase
import KVEnvironment
import KVPosix
import KVStorage

/// Batches that follow from a seed and their number alone, so that whoever knows the number knows what a tablet must hold.
struct Workload: Sendable {
    let seed: UInt64
    /// Whose it is: each writer has keys of its own.
    let writer: Int
    static let keyCount = 1500

    init(seed: UInt64, writer: Int) {
        self.seed = seed &+ UInt64(writer) &* 0x1000_0000_01b3
        self.writer = writer
    }

    /// The row that holds the number of the writer's last batch.
    var counterKey: [UInt8] { Array("count\(writer)".utf8) }

    enum Operation {
        case put(key: Int, value: [UInt8])
        case delete(key: Int)
        case deleteRange(from: Int, to: Int)
    }

    func operations(_ index: UInt64) -> [Operation] {
        var state = seed &+ index &* 0x9e37_79b9_7f4a_7c15
        func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
        func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
        return (0..<(1 + below(4))).map { _ in
            let key = below(Self.keyCount)
            switch below(200) {
            case 0: return .deleteRange(from: key, to: min(Self.keyCount, key + 1 + below(40)))
            case 1..<40: return .delete(key: key)
            default:
                let value =
                    withUnsafeBytes(of: index) { Array($0) } + [UInt8](repeating: UInt8(below(256)), count: below(400))
                return .put(key: key, value: value)
            }
        }
    }

    func fill(_ batch: inout WriteBatch, _ index: UInt64) {
        batch.removeAll()
        batch.put(counterKey, withUnsafeBytes(of: index.littleEndian) { Array($0) })
        for operation in operations(index) {
            switch operation {
            case .put(let key, let value): batch.put(self.key(key), value)
            case .delete(let key): batch.delete(self.key(key))
            case .deleteRange(let from, let to): batch.deleteRange(self.key(from), self.key(to))
            }
        }
    }

    /// What a tablet holds after batch `index`.
    func model(_ index: UInt64) -> [Int: [UInt8]] {
        var model: [Int: [UInt8]] = [:]
        for number in stride(from: UInt64(1), through: index, by: 1) {
            for operation in operations(number) {
                switch operation {
                case .put(let key, let value): model[key] = value
                case .delete(let key): model[key] = nil
                case .deleteRange(let from, let to): for key in from..<to { model[key] = nil }
                }
            }
        }
        return model
    }

    func key(_ number: Int) -> [UInt8] {
        let digits = String(number)
        return Array(("key\(writer)-" + String(repeating: "0", count: 5 - digits.count) + digits).utf8)
    }
}

/// How what is written becomes durable.
enum Mode: String, CaseIterable {
    /// The tablet's own log, synced at every write.
    case synced
    /// The tablet's own log, written at every write.
    case written
    /// The same, by several threads at once through a commit queue.
    case queued
    /// No log: what is flushed to tables is kept.
    case external
    /// A liar, for the test of the test: says that a write is kept before it is written.
    case lying

    var writerCount: Int { self == .queued ? 4 : 1 }

    var durability: TabletOptions.Durability {
        switch self {
        case .synced, .queued, .lying: .log(synchronizes: true)
        case .written: .log(synchronizes: false)
        case .external: .external
        }
    }
}

/// Small limits, so that little work meets every kind of background job.
func makeOptions(_ directory: String, _ mode: Mode, _ pool: ThreadWorkerPool) -> TabletOptions {
    var options = TabletOptions(
        fileSystem: PosixFileSystem(),
        directory: directory,
        workers: pool,
        clock: PosixClock(),
        randomness: SystemRandomness(),
        shared: SharedResources(blockCacheBytes: 256 << 10, tablesOpenMax: 8)
    )
    options.durability = mode.durability
    options.logSegmentBytes = 128 << 10
    options.memtableBytes = 32 << 10
    options.blockBytes = 1 << 10
    options.tableBytes = 32 << 10
    options.baseLevelBytes = 128 << 10
    options.levelMultiplier = 3
    options.sealedHardMax = 64
    return options
}
