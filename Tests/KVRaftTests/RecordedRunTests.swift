import Foundation
import KVRaft
import Testing

/// Runs of whole groups whose every decision is as it was recorded: a change that means to change nothing changes none of them.
///
/// What a correct core decides is judged by the other tests. These notice what they cannot: a message too many, a probe too late, a hint that
/// is worse than it could be. Where a change is meant, record anew with KV_RECORD_RUNS=1 and say so in the commit.
struct RecordedRunTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/recorded-runs.txt")
    private static let seeds: [UInt64] = Array(1...150)
    private static let stepsEach = 150
    private static let pieces = 12

    /// A number for each piece of a run, so that a difference has a place.
    private static func pieces(of seed: UInt64) throws -> [String] {
        var chaos = try Chaos(seed: seed, changesMembership: seed % 3 != 1, isVaried: true)
        return try (0..<pieces).map { _ in
            try chaos.run(steps: stepsEach)
            return String(chaos.digest, radix: 16)
        }
    }

    @Test func `recorded runs repeat decision by decision`() throws {
        if ProcessInfo.processInfo.environment["KV_RECORD_RUNS"] != nil {
            let lines = try Self.seeds.map { seed in
                "\(seed) \(try Self.pieces(of: seed).joined(separator: " "))\n"
            }
            try lines.joined().write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let recorded = try String(contentsOf: Self.file, encoding: .utf8).split(separator: "\n")
        #expect(recorded.count == Self.seeds.count)
        for line in recorded {
            let words = line.split(separator: " ").map(String.init)
            let seed = try #require(UInt64(words[0]))
            let found = try Self.pieces(of: seed)
            guard let place = found.indices.first(where: { words.dropFirst().dropFirst($0).first != found[$0] }) else {
                continue
            }
            Issue.record(
                "seed \(seed) decides otherwise between steps \(place * Self.stepsEach) and \((place + 1) * Self.stepsEach)"
            )
            return
        }
    }
}
