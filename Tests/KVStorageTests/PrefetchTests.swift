import KVSimulation
import Testing

@testable import KVStorage

struct PrefetchTests {
    private static func key(_ number: UInt64) -> [UInt8] { Array("key:\(number)".utf8) }

    @Test func `a walk ahead takes each key once, whatever their number and the list's length`() {
        for entries in [0, 1, 5, 2000] {
            let memtable = Memtable(
                id: 1,
                capacity: 1 << 20,
                mark: TabletMark(),
                lastSequence: 0,
                shared: SharedResources()
            )
            for entry in 0..<UInt64(entries) {
                Self.key(entry &* 7919 % 3000).withView { key in
                    memtable.insert(key, EntryTag.make(entry + 1, EntryKind.put), key)
                }
            }
            for count in [0, 1, 7, 8, 9, 100] {
                var asked = 0
                let keys = (0..<count).map { Self.key(UInt64($0 * 31)) }
                // The keys outlive the walk: it holds views.
                let bytes = keys.flatMap { $0 }
                bytes.withView { all in
                    var offset = 0
                    SkipList.prefetchPaths {
                        guard asked < count else { return nil }
                        defer {
                            offset += keys[asked].count
                            asked += 1
                        }
                        return (memtable.list, ByteView(all.base + offset, keys[asked].count))
                    }
                }
                #expect(asked == count)
            }
        }
    }

    @Test func `batches into a memtable that outgrew the cache hold what was written`() throws {
        let harness = try TabletHarness(seed: 3) { $0.memtableBytes = 4 << 20 }
        let random = SeededRandomness(seed: 9)
        let filler = [UInt8](repeating: 7, count: 200)
        for _ in 0..<80 {
            try harness.write { batch, model in
                for _ in 0..<40 {
                    let key = Self.key(random.next() % 1500)
                    if random.next() % 5 == 0 {
                        batch.delete(key)
                        model[key] = nil
                    } else {
                        let value = filler + key
                        batch.put(key, value)
                        model[key] = value
                    }
                }
            }
        }
        #expect(harness.tablet.active.isWorthPrefetching)
        #expect(try harness.contents() == harness.model)
    }
}
