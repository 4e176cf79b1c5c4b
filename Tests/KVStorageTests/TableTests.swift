import KVBase
import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

struct TableTests {
    private let disk = SimulatedFileSystem(seed: 1)

    private func build(
        _ entries: [(key: [UInt8], sequence: UInt64, value: [UInt8])],
        blockBytes: Int = 128,
        codec: BlockCodec = .zstd(level: 1),
        ranges: [RangeTombstone] = []
    ) throws -> (TableReader, TableMetadata) {
        let file = try disk.open("a.sst", .createNew)
        let builder = try TableBuilder(
            file,
            TableBuilder.Settings(
                number: 1,
                uid: 0x1234,
                createdMilliseconds: 5,
                blockBytes: blockBytes,
                restartInterval: 4,
                codec: codec,
                level: 3,
                reason: .flush,
                job: 9
            ),
            Compressor()
        )
        for entry in entries {
            try entry.key.withView { (key) throws(StorageError) in
                try entry.value.withView { (value) throws(StorageError) in
                    try builder.add(key, EntryTag.make(entry.sequence, EntryKind.put), value)
                }
            }
        }
        for range in ranges { builder.addRange(range) }
        let metadata = try builder.finish()
        let reader = try TableReader(
            try disk.open("a.sst", .read),
            uid: 0x1234,
            cache: BlockCache(bytesMax: 1 << 20),
            scratches: ReadScratchPool()
        )
        return (reader, metadata)
    }

    private func find(_ reader: TableReader, _ key: [UInt8], _ sequence: UInt64 = .max >> 8) throws -> [UInt8]? {
        try key.withView { (view) throws(StorageError) -> [UInt8]? in
            switch try reader.find(view, hashKey(view), EntryTag.seek(sequence), memoryOnly: false) {
            case .found(_, let value, let pin): withExtendedLifetime(pin) { value.array }
            case .absent, .needsDisk: nil
            }
        }
    }

    @Test(arguments: [BlockCodec.none, .zstd(level: -1), .zstd(level: 3)], [1, 64, 1 << 20])
    func `every key of a table is found and every other key is not`(_ codec: BlockCodec, _ blockBytes: Int) throws {
        let keys = (0..<500).map { Array("k\($0 * 37 % 500 + 1000)/".utf8) }.sorted { compareKeys($0, $1) < 0 }
        let (reader, metadata) = try build(
            keys.enumerated().map { ($1, UInt64($0 + 1), $1 + $1 + $1) },
            blockBytes: blockBytes,
            codec: codec
        )
        for key in keys {
            #expect(try find(reader, key) == key + key + key)
            #expect(try find(reader, key + [0]) == nil)
            #expect(try find(reader, Array(key.dropLast())) == nil)
        }
        #expect(try find(reader, []) == nil)
        #expect(try find(reader, [0xff]) == nil)
        #expect(metadata.smallest == keys.first)
        #expect(metadata.largest == keys.last)
        #expect(metadata.entryCount == 500)
        #expect(reader.properties.smallest == metadata.smallest)
        #expect(reader.properties.sequenceMax == 500)
        #expect(reader.properties.level == 3 && reader.properties.job == 9)
    }

    @Test func `all versions of a key are in one block however many there are, and each is found at its sequence`()
        throws
    {
        var entries: [([UInt8], UInt64, [UInt8])] = []
        for key in 0..<5 {
            for version in stride(from: 60, through: 1, by: -1) {
                entries.append(([UInt8(key)], UInt64(version * 10 + key), [UInt8(version)]))
            }
        }
        let (reader, _) = try build(entries, blockBytes: 16)
        #expect(reader.blockCount == 5)
        for key in 0..<5 {
            for version in 1...60 {
                #expect(try find(reader, [UInt8(key)], UInt64(version * 10 + key)) == [UInt8(version)])
                #expect(try find(reader, [UInt8(key)], UInt64(version * 10 + key + 9)) == [UInt8(version)])
            }
            #expect(try find(reader, [UInt8(key)], UInt64(9 + key)) == nil)
        }
    }

    @Test func `empty keys, empty values and values longer than a block are kept`() throws {
        let long = [UInt8](repeating: 9, count: 100_000)
        let (reader, _) = try build([([], 1, [1]), ([0], 2, []), ([0, 0], 3, long), ([1], 4, [])])
        #expect(try find(reader, []) == [1])
        #expect(try find(reader, [0]) == [])
        #expect(try find(reader, [0, 0]) == long)
        #expect(try find(reader, [1]) == [])
    }

    @Test func `range deletions are kept, and widen the bounds`() throws {
        let range = RangeTombstone(start: [1], end: [9], sequence: 7)
        let (reader, metadata) = try build([([2], 1, [1]), ([3], 2, [1])], ranges: [range])
        #expect(reader.ranges?.tombstones == [range])
        #expect(metadata.smallest == [1])
        #expect(metadata.largest == [9])
        #expect(metadata.largestIsExclusive)
        #expect(metadata.sequenceMax == 7)
    }

    @Test func `a table that stands where another should is refused`() throws {
        _ = try build([([2], 1, [1])])
        #expect(throws: StorageError.self) {
            try TableReader(
                try disk.open("a.sst", .read),
                uid: 0x9999,
                cache: BlockCache(bytesMax: 1 << 20),
                scratches: ReadScratchPool()
            )
        }
    }

    @Test func `the bloom filter lets less than one absent key in a hundred through, and every present key`() {
        for count in [1000, 50_000] {
            func hash(_ number: Int) -> UInt64 { Array("user:\(number)".utf8).withView { hashKey($0) } }
            let buffer = GrowBuffer()
            BloomFilter.build((0..<count).map(hash), into: buffer)
            let lines = UInt32((buffer.count - BloomFilter.trailerBytes) / BloomFilter.lineBytes)
            func mayContain(_ number: Int) -> Bool {
                BloomFilter.mayContain(UnsafeRawPointer(buffer.base), lines, BloomFilter.probes, hash(number))
            }
            #expect((0..<count).allSatisfy(mayContain))
            let wrong = (count..<(count + 200_000)).count { mayContain($0) }
            #expect(wrong < 2000, "\(wrong) of 200,000 with \(count) keys")
            #expect(buffer.count * 8 < count * 11 + 1024)
        }
    }

    @Test func `a separator is between the keys it separates and no longer than needed`() {
        let randomness = SeededRandomness(seed: 4)
        let buffer = GrowBuffer()
        for _ in 0..<5000 {
            func key() -> [UInt8] {
                (0..<randomness.below(6)).map { _ in UInt8([0, 1, 2, 254, 255][randomness.below(5)]) }
            }
            let pair = [key(), key()].sorted { compareKeys($0, $1) < 0 }
            guard pair[0] != pair[1] else { continue }
            buffer.removeAll()
            pair[0].withView { low in pair[1].withView { KeySeparator.append(between: low, $0, to: buffer) } }
            let separator = buffer.view.array
            #expect(compareKeys(pair[0], separator) <= 0)
            #expect(compareKeys(separator, pair[1]) < 0)
            #expect(separator.count <= pair[0].count)
        }
    }

    @Test func `byte order is unsigned, with a prefix first, whatever the length`() {
        let randomness = SeededRandomness(seed: 5)
        for _ in 0..<5000 {
            func key() -> [UInt8] {
                (0..<randomness.below(20)).map { _ in UInt8([0, 127, 128, 255][randomness.below(4)]) }
            }
            let a = key()
            let b = randomness.below(3) == 0 ? a + key() : key()
            let order = compareKeys(a, b)
            #expect((order < 0) == a.lexicographicallyPrecedes(b))
            #expect((order == 0) == (a == b))
            let shared = a.withView { x in b.withView { sharedPrefix(x, $0) } }
            #expect(shared == zip(a, b).prefix { $0 == $1 }.count)
        }
    }
}

struct BlockCacheTests {
    private func block(_ size: Int, _ fill: UInt8) -> Block {
        Block.make(count: size) { $0.initializeMemory(as: UInt8.self, repeating: fill, count: size) }
    }

    private func key(_ number: Int) -> BlockKey { BlockKey(uid: UInt64(number % 3), offset: UInt64(number)) }

    @Test func `the cache stays within its bytes and keeps what is used again and again`() {
        let shard = BlockCacheShard(bytesMax: 10 * 1096)
        for number in 0..<100 {
            _ = shard.insert(key(number), key(number).hash, block(1000, UInt8(number)))
            #expect(shard.charge <= 10 * 1096)
            // 0 is used all the time.
            #expect(shard.find(key(0), key(0).hash)?.view.array.first == 0)
        }
        #expect(shard.count == 10)
        #expect(shard.find(key(99), key(99).hash)?.view.array.first == 99)
    }

    /// What was let go is told, so a model that believes it knows at any time what must be found.
    @Test(arguments: [5000, 40_000]) func `random use agrees with a model`(bytesMax: Int) {
        let shard = BlockCacheShard(bytesMax: bytesMax)
        var kept: [Int: Int] = [:]
        let randomness = SeededRandomness(seed: 2)
        for round in 0..<20_000 {
            let number = randomness.below(150)
            let found = shard.find(key(number), key(number).hash)
            #expect(found.map { Int($0.view.array[1]) } == (kept[number] == nil ? nil : number))
            if found == nil || round % 7 == 0 {
                let size = 100 + randomness.below(50)
                let made = Block.make(count: size) {
                    $0.initializeMemory(as: UInt8.self, repeating: UInt8(number), count: size)
                }
                for gone in shard.insert(key(number), key(number).hash, made) { kept[Int(gone.view.array[1])] = nil }
                kept[number] = size
            }
            if round % 1000 == 999 {
                let uid = UInt64(randomness.below(3))
                _ = shard.removeAll(of: [uid])
                kept = kept.filter { key($0.key).uid != uid }
            }
            #expect(shard.count == kept.count)
            #expect(shard.charge == kept.values.reduce(0) { $0 + $1 + 96 })
        }
    }

    @Test func `an evicted block lives on while somebody reads it`() {
        let cache = BlockCache(bytesMax: 16 * 1200, shardCount: 16)
        let pinned = block(1000, 7)
        cache.insert(BlockKey(uid: 1, offset: 0), pinned)
        for number in 1..<200 { cache.insert(BlockKey(uid: 1, offset: UInt64(number)), block(1000, 1)) }
        #expect(cache.find(BlockKey(uid: 1, offset: 0)) == nil)
        #expect(pinned.view.array.allSatisfy { $0 == 7 })
        #expect(cache.bytes <= cache.bytesMax)
    }
}

struct IndexFencesTests {
    /// Keys with long shared parts, parts of each other, and ties in the eight bytes that are compared first.
    @Test(arguments: [0, 1, 3, 60, 400]) func `fences lead to the same block as the index keys`(count: Int) {
        let randomness = SeededRandomness(seed: UInt64(count) + 1)
        let parts: [[UInt8]] = [
            [], [0], [0, 0], Array("same".utf8), Array("12345678".utf8), Array("12345678abc".utf8), [255],
        ]
        func key() -> [UInt8] {
            [7, 7] + (0..<4).flatMap { _ in parts[randomness.below(parts.count)] }
        }
        let keys = Set((0..<count).map { _ in key() }).sorted { compareKeys($0, $1) < 0 }
        let builder = BlockBuilder(restartInterval: 1, capacity: 1024)
        for (number, key) in keys.enumerated() {
            let handle = BlockHandle(offset: UInt64(number * 100 + 32), length: UInt32(number + 16)).encoded
            key.withView { key in handle.withView { builder.add(key, 0, $0, shared: 0) } }
        }
        let bytes = builder.finish().array
        bytes.withView { view in
            let fences = BlockLayout(view).flatMap { IndexFences($0) }
            #expect(fences?.count == keys.count)
            guard let fences else { return }
            for position in keys.indices {
                #expect(
                    fences.handle(at: position)
                        == BlockHandle(offset: UInt64(position * 100 + 32), length: UInt32(position + 16))
                )
            }
            let strange: [[UInt8]] = [[], [7], [7, 7], [7, 8], [6, 255], [255], [0]]
            for wanted in keys + (0..<300).map({ _ in key() }) + strange {
                let candidates = wanted.withView { fences.candidates($0) }
                let right = keys.firstIndex { compareKeys($0, wanted) >= 0 } ?? keys.count
                #expect(candidates.lowerBound <= right && right <= candidates.upperBound)
            }
        }
    }
}

struct FilterTests {
    @Test func `a filter passes every key it holds and at most one in a hundred others`() {
        func hash(_ number: UInt64) -> UInt64 {
            withUnsafeBytes(of: number.bigEndian) { hashKey(ByteView($0)) }
        }
        let count: UInt64 = 100_000
        let buffer = GrowBuffer()
        BloomFilter.build((0..<count).map(hash), into: buffer)
        let lines = UInt32((buffer.count - BloomFilter.trailerBytes) / BloomFilter.lineBytes)
        func passes(_ number: UInt64) -> Bool {
            BloomFilter.mayContain(UnsafeRawPointer(buffer.base), lines, BloomFilter.probes, hash(number))
        }
        #expect((0..<count).allSatisfy(passes))
        let wrong = (count..<(3 * count)).reduce(0) { $0 + (passes($1) ? 1 : 0) }
        #expect(Double(wrong) / Double(2 * count) <= 0.01)
    }
}
