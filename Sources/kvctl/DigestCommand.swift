import ArgumentParser
import Foundation
import KVClient

struct DigestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "digest",
        abstract:
            "Compare what each node's own tablets hold: keys and content hash, shard by shard; exit 7 where they differ.",
        discussion: """
            Reads all data of all nodes. Shards are compared where the nodes read them at the same applied index; while there are writes, \
            they may have read at different ones, which is shown as such and exits 7 too.
            """
    )

    @OptionGroup var global: GlobalOptions

    private struct Payload: Encodable {
        struct Node: Encodable {
            let endpoint: String
            let error: String?
            let shards: [ShardDigest]
        }
        let areEqual: Bool
        let keys: UInt64
        let differences: [String]
        let nodes: [Node]
    }

    func run() async throws {
        try await global.perform { session in
            guard !session.httpEndpoints.isEmpty else {
                throw ValidationError(
                    "the HTTP addresses do not follow from the RESP addresses; name them with --http-endpoints"
                )
            }
            // A digest reads everything, which may take longer than any request.
            let answers = await session.client.digests(within: max(global.timeout.duration, .seconds(120)))
            let comparison = DigestComparison(answers)
            switch global.output {
            case .json:
                let nodes = answers.map { answer in
                    let failure: ClientError? = if case .failure(let error) = answer.result { error } else { nil }
                    return Payload.Node(
                        endpoint: answer.endpoint.description,
                        error: failure?.description,
                        shards: (try? answer.result.get()) ?? []
                    )
                }
                try writeJSON(
                    Payload(
                        areEqual: comparison.areEqual,
                        keys: comparison.keys,
                        differences: comparison.differences,
                        nodes: nodes
                    ),
                    ok: comparison.areEqual,
                    error: comparison.areEqual
                        ? nil : .init(code: "partial", message: comparison.differences.joined(separator: "; "))
                )
            case .table:
                for (answer, keys) in zip(answers, comparison.keysByNode) {
                    write("\(answer.endpoint): \(keys.map { "\($0) keys" } ?? "no answer")\n")
                }
                write(
                    comparison.areEqual
                        ? "equal\n" : "DIFFERENT: " + comparison.differences.joined(separator: "\n  ") + "\n"
                )
            }
            return comparison.areEqual ? .ok : .partial
        }
    }
}
