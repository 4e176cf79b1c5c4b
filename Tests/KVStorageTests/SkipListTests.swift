import KVSimulation
import Testing

@testable import KVStorage

/// The list of anchors and versions against a sorted array of (key, tag).
struct SkipListTests {
    private struct Entry: Equatable {
        let key: [UInt8]
        let tag: UInt64
    }

    private static func filled(keys: UInt64, entries: UInt64, seed: UInt64) -> (Memtable, [Entry]) {
        let memtable = Memtable(
            id: 1,
            capacity: 1 << 20,
            mark: TabletMark(),
            lastSequence: 0,
            shared: SharedResources()
        )
        let random = SeededRandomness(seed: seed)
        var model: [Entry] = []
        for sequence in 1...entries {
            let key = Array("k\(random.next() % keys)".utf8)
            let tag = EntryTag.make(sequence, EntryKind.put)
            key.withView { memtable.insert($0, tag, $0) }
            model.append(Entry(key: key, tag: tag))
        }
        model.sort { $0.key == $1.key ? $0.tag > $1.tag : $0.key.lexicographicallyPrecedes($1.key) }
        return (memtable, model)
    }

    private static func entry(_ list: SkipList, _ node: UInt32) -> Entry? {
        node == 0 ? nil : Entry(key: list.key(node).array, tag: list.tag(node))
    }

    @Test(arguments: [(1, 40), (3, 60), (50, 60), (400, 900)] as [(UInt64, UInt64)])
    func `entries come by key, newest version first, forward and back`(keys: UInt64, entries: UInt64) {
        let (memtable, model) = Self.filled(keys: keys, entries: entries, seed: keys)
        let list = memtable.list
        var forward: [Entry] = []
        var node = list.first()
        while let entry = Self.entry(list, node) {
            #expect(list.value(node).array == entry.key)
            forward.append(entry)
            node = list.entry(after: node)
        }
        #expect(forward == model)
        var backward: [Entry] = []
        node = list.last()
        while let entry = Self.entry(list, node) {
            backward.append(entry)
            node = list.entry(before: node)
        }
        #expect(backward == model.reversed())
    }

    @Test func `a search finds the first entry at or after, and the last before, any key and tag`() {
        let (memtable, model) = Self.filled(keys: 20, entries: 120, seed: 5)
        let list = memtable.list
        var probes = model.flatMap { [$0, Entry(key: $0.key, tag: $0.tag + 1), Entry(key: $0.key, tag: $0.tag - 1)] }
        for key in ["", "k", "k10x", "z"] {
            for tag in [0, 300, .max] as [UInt64] { probes.append(Entry(key: Array(key.utf8), tag: tag)) }
        }
        for probe in probes {
            let position =
                model.firstIndex {
                    $0.key == probe.key ? $0.tag <= probe.tag : probe.key.lexicographicallyPrecedes($0.key)
                } ?? model.count
            let (at, before) = probe.key.withView {
                (list.firstNotBefore($0, probe.tag), list.lastBefore($0, probe.tag))
            }
            let found = probe.key.withView { list.find($0, hashKey($0), probe.tag) }
            let expected = position < model.count && model[position].key == probe.key ? model[position] : nil
            #expect(Self.entry(list, found) == expected)
            #expect(Self.entry(list, at) == (position < model.count ? model[position] : nil))
            #expect(Self.entry(list, before) == (position > 0 ? model[position - 1] : nil))
        }
    }

    @Test func `an empty list has no entries`() {
        let memtable = Memtable(id: 1, capacity: 4096, mark: TabletMark(), lastSequence: 0, shared: SharedResources())
        #expect(memtable.list.first() == 0)
        #expect(memtable.list.last() == 0)
        let found = [UInt8(1)].withView { (memtable.list.firstNotBefore($0, .max), memtable.list.lastBefore($0, 0)) }
        #expect(found == (0, 0))
    }
}
