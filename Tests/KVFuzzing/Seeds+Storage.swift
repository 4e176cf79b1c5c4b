import KVBase
import KVEnvironment
import KVLog
import KVSimulation

@testable import KVStorage

/// Blocks, tables, manifests and journals as the engine writes them, small.
enum StorageSeeds {
    @Sendable static func blocks() -> [[UInt8]] {
        [1, 4, 16].map { interval in
            let builder = BlockBuilder(restartInterval: interval, capacity: 1024)
            var last: [UInt8] = []
            for number in 0..<12 {
                let key = Array("key\(number / 3 * 7)".utf8)
                let shared = zip(last, key).prefix { $0 == $1 }.count
                key.withView { key in
                    [UInt8](repeating: 7, count: number).withView { value in
                        builder.add(key, EntryTag.make(UInt64(100 - number), UInt8(number % 2)), value, shared: shared)
                    }
                }
                last = key
            }
            var seed: [UInt8] = []
            seed.append(piece: Array("key7".utf8))
            // The bytes are the builder's.
            return withExtendedLifetime(builder) { seed + builder.finish().array }
        }
    }

    @Sendable static func tables() -> [[UInt8]] {
        let disk = tablet { _ in }
        return disk.allFiles().filter { $0.hasSuffix(".sst") }.compactMap { disk.content(of: $0) }
    }

    /// The parts of real tables, raw.
    @Sendable static func tableParts() -> [[UInt8]] {
        let disk = tablet {
            $0.upperCodec = .none
            $0.bottomCodec = .none
        }
        return disk.allFiles().filter { $0.hasSuffix(".sst") }.compactMap { path in
            disk.content(of: path).flatMap { parts($0) }
        }
    }

    /// Filter, index, ranges, properties and data, as `TableOfParts` puts them together; offsets then differ, which is as good.
    private static func parts(_ file: [UInt8]) -> [UInt8]? {
        var byType: [UInt8: [[UInt8]]] = [:]
        var offset = TableFormat.headerSize
        while offset + TableFormat.blockHeaderSize <= file.count - TableFormat.footerSize {
            let length = Int(file[offset + 4]) | Int(file[offset + 5]) << 8
            let start = offset + TableFormat.blockHeaderSize
            guard start + length <= file.count else { return nil }
            byType[file[offset], default: []].append(Array(file[start..<(start + length)]))
            offset = start + length
        }
        typealias Types = TableFormat.BlockType
        let first = [Types.filter, Types.index, Types.ranges, Types.meta].map { byType[$0]?.first ?? [] }
        var seed: [UInt8] = []
        for part in first + (byType[Types.data] ?? []).prefix(4) {
            seed += [TableFormat.Codec.raw, 0, 0]
            seed.append(piece: part)
        }
        return seed
    }

    @Sendable static func manifests() -> [[UInt8]] {
        let disk = tablet { _ in }
        return disk.allFiles().filter { $0.contains("MANIFEST") || $0.hasSuffix("CURRENT") }
            .compactMap { disk.content(of: $0) }
    }

    @Sendable static func edits() -> [[UInt8]] {
        let disk = tablet { _ in }
        var seeds: [[UInt8]] = []
        for path in disk.allFiles() where path.contains("MANIFEST") {
            var seed: [UInt8] = []
            _ = try? LogReader.read(disk, path: path) { record in
                if record.kind == .versionEdit { seed.append(piece: Array(record.payload)) }
            }
            seeds.append(seed)
        }
        return seeds
    }

    @Sendable static func journals() -> [[UInt8]] {
        var seed: [UInt8] = []
        var sequence: UInt64 = 1
        for number in UInt64(1)...6 {
            var batch = WriteBatch()
            batch.put([1, UInt8(number)], [2, 3])
            if number % 2 == 0 { batch.delete([1, 1]) }
            if number == 5 { batch.deleteRange([1], [1, 4]) }
            var mark: [UInt8] = []
            TabletMark(appliedIndex: number, appliedTerm: 1).encode(into: &mark)
            var record: [UInt8] = []
            record.append(varint: sequence)
            record.append(varint: UInt64(batch.count))
            record.append(lengthPrefixed: mark)
            seed.append(piece: record + batch.bytes)
            sequence += UInt64(batch.count)
        }
        return [seed]
    }

    /// The disk of a small tablet with a few tables, after a clean close.
    private static func tablet(_ adjust: (inout TabletOptions) -> Void) -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        let world = SimulatedWorld(seed: 1)
        var options = TabletOptions(
            fileSystem: disk,
            directory: "t",
            workers: world.makeWorkerPool("workers", in: SimulatedDomain("seed")),
            clock: SimulatedClock(world),
            randomness: SeededRandomness(seed: 1),
            shared: SharedResources(blockCacheBytes: 0)
        )
        options.memtableBytes = 1 << 20
        options.blockBytes = 128
        options.restartInterval = 4
        adjust(&options)
        guard let tablet = try? Tablet.create(options) else { return disk }
        for round in UInt64(1)...3 {
            var batch = WriteBatch()
            for number in 0..<12 {
                batch.put(Array("key\(number * 5)".utf8), [UInt8](repeating: UInt8(round), count: number))
            }
            if round == 2 { batch.deleteRange(Array("key2".utf8), Array("key4".utf8)) }
            if round == 3 { batch.delete(Array("key5".utf8)) }
            try? tablet.write(batch, mark: TabletMark(appliedIndex: round))
            tablet.flush()
            world.runUntilIdle()
        }
        tablet.close()
        world.runUntilIdle()
        return disk
    }
}
