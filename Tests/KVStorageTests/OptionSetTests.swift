import KVBase
import KVSimulation
import Testing

@testable import KVStorage

/// One history of operations, made from a seed alone, run under every option set: each answer is the sorted dictionary's, and so
/// all sets give the same.
struct OptionSetTests {
    enum Step: Sendable {
        case put([(key: Int, length: Int)])
        case delete([Int])
        case deleteRange(Int, Int)
        case mixed([(key: Int, length: Int?)])
        case get(Int, snapshot: Int?)
        case scan(lower: Int?, upper: Int?, snapshot: Int?, isReverse: Bool)
        case walk(start: Int, moves: [Bool])
        case takeSnapshot
        case dropSnapshot(Int)
        case work
        case flush
        case compact
        case checkpoint
        case restart
    }

    static let keyCount = 90

    static func script(_ seed: UInt64, count: Int = 500) -> [Step] {
        let random = SeededRandomness(seed: seed)
        func key() -> Int { random.below(keyCount) }
        func some(_ most: Int) -> Range<Int> { 0..<(1 + random.below(most)) }
        func bound() -> Int? { random.below(2) == 0 ? key() : nil }
        func snapshot() -> Int? { random.below(3) == 0 ? random.below(8) : nil }
        return (0..<count).map { _ in
            switch random.below(100) {
            case 0..<30: .put(some(4).map { _ in (key(), random.below(90)) })
            case 30..<40: .delete(some(3).map { _ in key() })
            case 40..<43: .deleteRange(key(), key())
            case 43..<52: .mixed(some(6).map { _ in (key(), random.below(3) == 0 ? nil : random.below(40)) })
            case 52..<66: .get(key(), snapshot: snapshot())
            case 66..<74: .scan(lower: bound(), upper: bound(), snapshot: snapshot(), isReverse: random.below(2) == 0)
            case 74..<78: .walk(start: key(), moves: (0..<20).map { _ in random.below(3) > 0 })
            case 78..<83: .takeSnapshot
            case 83..<87: .dropSnapshot(random.below(8))
            case 87..<93: .work
            case 93..<95: .flush
            case 95..<97: .compact
            case 97..<99: .restart
            default: .checkpoint
            }
        }
    }

    @Test(arguments: OptionSet.all)
    func `every option set gives the answers of a sorted dictionary`(_ set: OptionSet) throws {
        for seed in Effort.seeds(2) {
            var run = try ScriptRun(set, seed)
            for (number, step) in Self.script(seed).enumerated() {
                try run.take(step)
                try #require(run.problem == nil, "step \(number) of seed \(seed): \(run.problem ?? "")")
            }
            try run.finish()
            #expect(run.problem == nil, "seed \(seed): \(run.problem ?? "")")
        }
    }

    @Test func `there are at least twenty option sets, with names of their own`() {
        #expect(OptionSet.all.count >= 20)
        #expect(Set(OptionSet.all.map(\.name)).count == OptionSet.all.count)
    }
}

/// A tablet and its model on their way through a script.
private struct ScriptRun {
    typealias Model = [[UInt8]: [UInt8]]

    let harness: TabletHarness
    private var held: [(snapshot: Snapshot, model: Model)] = []
    private var checkpointCount = 0
    private var writeCount = 0
    /// The first answer that was wrong.
    private(set) var problem: String?

    init(_ set: OptionSet, _ seed: UInt64) throws {
        harness = try TabletHarness(seed: seed, adjust: set.adjust)
    }

    mutating func take(_ step: OptionSetTests.Step) throws {
        switch step {
        case .put(let items): try write(items.map { ($0.key, $0.length) })
        case .delete(let keys): try write(keys.map { ($0, nil) })
        case .mixed(let items): try write(items.map { ($0.key, $0.length) })
        case .deleteRange(let a, let b): try deleteRange(a, b)
        case .get(let number, let snapshot):
            let (snapshot, model) = chosen(snapshot)
            let key = TabletHarness.key(number)
            let found = try harness.tablet.get(key, at: snapshot)
            if found != model[key] { problem = "get of \(key): \(String(describing: found))" }
        case .scan(let lower, let upper, let snapshot, let isReverse):
            try scan(lower.map(TabletHarness.key), upper.map(TabletHarness.key), snapshot, isReverse)
        case .walk(let start, let moves): try walk(TabletHarness.key(start), moves)
        case .takeSnapshot: held.append((harness.tablet.snapshot(), harness.model))
        case .dropSnapshot(let place): if !held.isEmpty { held.remove(at: place % held.count) }
        case .work: harness.run()
        case .flush:
            harness.tablet.flush()
            harness.run()
        case .compact:
            harness.tablet.compactAll { _ in }
            harness.run()
        case .checkpoint: try checkpoint()
        case .restart: try restart()
        }
    }

    mutating func finish() throws {
        try scan(nil, nil, nil, false)
        for place in held.indices { try scan(nil, nil, place, true) }
        harness.tablet.flush()
        harness.run()
        try scan(nil, nil, nil, true)
        if TabletInspection.verify(harness.disk, "t").findings != [] { problem = "an inspection finds something" }
    }

    private mutating func write(_ items: [(key: Int, length: Int?)]) throws {
        writeCount += 1
        let fill = UInt8(truncatingIfNeeded: writeCount)
        try harness.write { batch, model in
            for (number, length) in items {
                let key = TabletHarness.key(number)
                if let length {
                    let value = [UInt8](repeating: fill, count: length)
                    batch.put(key, value)
                    model[key] = value
                } else {
                    batch.delete(key)
                    model[key] = nil
                }
            }
        }
    }

    private func deleteRange(_ a: Int, _ b: Int) throws {
        let start = TabletHarness.key(a)
        let end = TabletHarness.key(b)
        try harness.write { batch, model in
            batch.deleteRange(start, end)
            for key in model.keys where compareKeys(key, start) >= 0 && compareKeys(key, end) < 0 { model[key] = nil }
        }
    }

    private func chosen(_ place: Int?) -> (Snapshot?, Model) {
        guard let place, !held.isEmpty else { return (nil, harness.model) }
        let chosen = held[place % held.count]
        return (chosen.snapshot, chosen.model)
    }

    private mutating func scan(_ lower: [UInt8]?, _ upper: [UInt8]?, _ place: Int?, _ isReverse: Bool) throws {
        let (snapshot, model) = chosen(place)
        var expected = harness.sortedKeys(model).filter { key in
            if let lower, compareKeys(key, lower) < 0 { return false }
            if let upper, compareKeys(key, upper) >= 0 { return false }
            return true
        }
        if isReverse { expected.reverse() }
        let iterator = try harness.tablet.makeIterator(snapshot, lower: lower, upper: upper)
        if isReverse { try iterator.seekToLast() } else { try iterator.seekToFirst() }
        for key in expected {
            guard iterator.isValid, [UInt8](iterator.key) == key, [UInt8](iterator.value) == model[key] else {
                problem = "a scan does not show \(key)"
                return
            }
            if isReverse { try iterator.previous() } else { try iterator.next() }
        }
        if iterator.isValid { problem = "a scan shows \([UInt8](iterator.key)), which is not there" }
    }

    /// Back and forth from a place, never off either end.
    private mutating func walk(_ start: [UInt8], _ moves: [Bool]) throws {
        let keys = harness.sortedKeys(harness.model)
        let iterator = try harness.tablet.makeIterator()
        try iterator.seek(start)
        guard var place = keys.firstIndex(where: { compareKeys($0, start) >= 0 }) else {
            if iterator.isValid { problem = "a seek past the end finds something" }
            return
        }
        for forward in moves {
            guard iterator.isValid, [UInt8](iterator.key) == keys[place] else {
                problem = "a walk is not at \(keys[place])"
                return
            }
            if forward, place + 1 < keys.count {
                try iterator.next()
                place += 1
            } else if !forward, place > 0 {
                try iterator.previous()
                place -= 1
            }
        }
    }

    private mutating func checkpoint() throws {
        checkpointCount += 1
        let directory = "copy\(checkpointCount)"
        let box = Box()
        harness.tablet.checkpoint(into: directory) { box.result = $0 }
        let model = harness.model
        let mark = harness.tablet.mark
        harness.run()
        guard case .success(mark) = box.result else {
            problem = "a checkpoint: \(String(describing: box.result))"
            return
        }
        let copy = try TabletHarness.open(harness.disk, directory, adjust: harness.adjust)
        if try TabletHarness.contents(copy) != model { problem = "a checkpoint differs" }
        copy.close()
        try harness.disk.removeTree(directory)
    }

    private mutating func restart() throws {
        held = []
        // Without a log of its own a tablet keeps what is flushed.
        harness.tablet.flush()
        harness.run()
        try harness.restart()
    }

    // SENDABLE: the simulator runs in one thread.
    private final class Box: @unchecked Sendable {
        var result: Result<TabletMark, StorageError>?
    }
}
