import Foundation
import Testing

extension EndToEnd {
    /// The scripts that stand for long runs, each for a bounded time.
    @Suite struct `long runs in short` {
        private static let programs = [
            "KVNODE": Programs.kvnode, "KVCTL": Programs.kvctl,
            "KVCHAOS": Programs.kvnode.replacing("/kvnode", with: "/kvchaos"),
        ]

        private func script(_ name: String, _ arguments: [String], within seconds: Double) throws -> Command {
            try Command.run(
                Programs.root.appending(path: "scripts/\(name)").path,
                arguments,
                environment: Self.programs,
                within: seconds
            )
        }

        @Test func `chaos on real processes leaves a linearizable history and equal replicas`() throws {
            let run = try script(
                "chaos",
                ["--minutes", "0.35", "--seed", "11", "--only", "kill,halt,cut,cut-one-way,restart,join-and-leave"],
                within: 240
            )
            #expect(run.code == 0, "\(run.everything)")
            #expect(run.text.contains("verdict: linearizable"), "\(run.everything)")
        }

        @Test func `a cluster's life from one node to a restored cluster loses nothing and reads as in the transcript`()
            throws
        {
            let run = try script("membership-transcript", ["--records", "100"], within: 400)
            try #require(run.code == 0, "\(run.everything)")
            try Transcript.expect(run.text, isAs: "membership.txt")
        }
    }
}
