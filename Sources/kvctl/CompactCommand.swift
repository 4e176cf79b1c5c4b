import ArgumentParser
import KVClient

struct CompactCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Have the nodes rewrite their tables without what deletions and older versions take.",
        discussion: """
            Nodes do so by themselves; this does it now, all of it. It reads and writes all data of a node once, shard by shard, beside \
            what clients do. All nodes work at the same time unless single ones are named with --http-endpoints.
            """
    )
    @OptionGroup var global: GlobalOptions
    @Option(help: "Only this shard.") var shard: String?

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let answers = await session.client.compact(
                shard: shard,
                within: max(global.timeout.duration, .seconds(3_600))
            )
            return try showAnswers(answers, global.output) { endpoint, shards in
                let before = shards.reduce(0) { $0 &+ $1.bytesBefore }
                let after = shards.reduce(0) { $0 &+ $1.bytesAfter }
                return "\(endpoint): \(shards.count) shards, \(sizeText(before)) before, \(sizeText(after)) now\n"
            }
        }
    }
}
