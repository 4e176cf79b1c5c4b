import Foundation
import KVFuzzing
import Testing

/// Every input of the corpus, every seed, and simple changes of both go through their decoder; a trap ends the run.
///
/// `scripts/fuzz` looks for more; what it finds is kept in `Fuzz/corpus`.
struct CorpusTests {
    private static let corpus = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fuzz/corpus")

    static let names = FuzzTarget.all.map(\.name)

    private func inputs(_ name: String) throws -> [[UInt8]] {
        let folder = Self.corpus.appending(path: name)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return try files.map { [UInt8](try Data(contentsOf: folder.appending(path: $0))) }
    }

    @Test(arguments: names) func `the corpus reads without a trap`(_ name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let inputs = try inputs(name)
        #expect(!inputs.isEmpty, "Fuzz/corpus/\(name) is empty")
        for input in inputs { input.withUnsafeBytes { target.run($0) } }
    }

    @Test(arguments: names) func `seeds, cut short or with bytes changed, read without a trap`(_ name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = target.seeds()
        #expect(!seeds.isEmpty && seeds.allSatisfy { !$0.isEmpty })
        for seed in seeds {
            seed.withUnsafeBytes { target.run($0) }
            // About 120 changes of each, at places spread over it.
            for change in 0..<120 {
                var input = seed
                let place = change * 7919 % seed.count
                switch change % 4 {
                case 0: input.removeLast(seed.count - place)
                case 1: input[place] ^= 1 << UInt8(change % 8)
                case 2: input[place] = change % 8 < 4 ? 0xff : 0
                default: input.insert(contentsOf: input[place...].prefix(9), at: place)
                }
                input.withUnsafeBytes { target.run($0) }
            }
        }
    }

    @Test func `targets have names of their own, and every folder of the corpus a target`() throws {
        #expect(Set(Self.names).count == Self.names.count)
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        #expect(Set(folders).isSubset(of: Set(Self.names)))
    }
}
