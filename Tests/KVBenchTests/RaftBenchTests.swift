import Testing

@testable import kvbench

@Suite struct `the consensus core by itself` {
    @Test(arguments: [(1, 0), (7, 1), (64, 256), (5_000, 16)])
    func `all requests are committed and the replicas agree, also past cuts of the log`(
        _ inFlight: Int,
        _ bytes: Int
    ) throws {
        var command = try RaftCommand.parse(["--requests", "30000", "--in-flight", "\(inFlight)"])
        command.valueSize = bytes
        let report = try command.measure()
        #expect(report.requests == 30_000)
        #expect(report.requestsPerSecond > 0)
    }

    @Test func `counts that make no sense are refused`() {
        for arguments in [["--requests", "0"], ["--in-flight", "0"], ["--value-size", "65537"]] {
            #expect(throws: (any Error).self) { try RaftCommand.parse(arguments) }
        }
    }
}
