import NIOCore
import Testing

@testable import KVRESP

@Suite struct IdleTests {
    private let limits: PatienceLimits = {
        var settings = RESPSettings(node: .init(1), softwareVersion: "") { 0 }
        settings.idleTimeout = .seconds(100)
        settings.commandTimeout = .seconds(10)
        settings.writeTimeout = .seconds(20)
        return PatienceLimits(settings)
    }()

    /// So many seconds after now, as the connection's clock counts.
    private func later(_ seconds: UInt64) -> UInt64 { NIODeadline.now().uptimeNanoseconds + seconds * 1_000_000_000 }

    private func connection(of harness: RESPHarness) throws -> RESPConnection {
        try harness.channel.pipeline.syncOperations.handler(type: RESPConnection.self)
    }

    @Test func `a client that says nothing is let go after its time, and not before`() throws {
        let harness = try RESPHarness()
        let connection = try connection(of: harness)
        #expect(connection.impatience(limits, now: later(90)) == nil)
        #expect(connection.impatience(limits, now: later(101)) == "idle")
        _ = try harness.call("PING")
        #expect(connection.impatience(limits, now: later(90)) == nil)
    }

    @Test func `a command that comes a byte at a time has less`() throws {
        let harness = try RESPHarness()
        let connection = try connection(of: harness)
        for byte in "*2\r\n$3\r\nGE".utf8 { _ = try harness.send([byte]) }
        #expect(connection.impatience(limits, now: later(9)) == nil)
        #expect(connection.impatience(limits, now: later(11)) == "slow_command")
        _ = try harness.send("T\r\n$1\r\nk\r\n")
        #expect(connection.impatience(limits, now: later(11)) == nil)
    }

    @Test func `a client that waits for an answer may wait`() throws {
        let harness = try RESPHarness()
        let connection = try connection(of: harness)
        harness.service.hold()
        _ = try harness.send(encode(line: "SET k v") + Array("*1".utf8))
        #expect(connection.impatience(limits, now: later(1_000)) == nil)
        harness.service.release()
        _ = try harness.received()
        #expect(connection.impatience(limits, now: later(11)) == "slow_command")
    }

    @Test func `a client that does not read is let go, counted from when it was first seen so`() throws {
        let harness = try RESPHarness()
        let connection = try connection(of: harness)
        harness.setWritable(false)
        #expect(connection.impatience(limits, now: later(50)) == nil)
        #expect(connection.impatience(limits, now: later(69)) == nil)
        #expect(connection.impatience(limits, now: later(71)) == "slow_reader")
        harness.setWritable(true)
        #expect(connection.impatience(limits, now: later(50)) == nil)
    }

    @Test func `nothing is looked for where nothing is limited`() {
        var settings = RESPSettings(node: .init(1), softwareVersion: "") { 0 }
        (settings.idleTimeout, settings.commandTimeout, settings.writeTimeout) = (.zero, .zero, .zero)
        #expect(PatienceLimits(settings).interval == nil)
        settings.idleTimeout = .milliseconds(200)
        #expect(PatienceLimits(settings).interval == .milliseconds(50))
    }
}
