import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import KVHTTP

@Suite struct StalledReaderTests {
    /// A connection on which parts of an answer wait until they are flushed.
    private func connection() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(handler: StalledReader(timeout: .seconds(10)))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return channel
    }

    private func write(_ part: HTTPResponsePart, _ channel: EmbeddedChannel) {
        channel.write(part, promise: nil)
    }

    @Test func `a client that does not read its answer is let go`() throws {
        let channel = try connection()
        write(.head(HTTPResponse(status: .ok)), channel)
        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        #expect(channel.isActive)
        // More that waits gives no more time.
        write(.body(ByteBuffer(string: "a")), channel)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test func `a client that reads slowly is not, and neither is one that asks for nothing`() throws {
        let channel = try connection()
        for _ in 0..<5 {
            write(.body(ByteBuffer(string: "a")), channel)
            channel.embeddedEventLoop.advanceTime(by: .seconds(9))
            channel.flush()
        }
        channel.embeddedEventLoop.advanceTime(by: .hours(1))
        #expect(channel.isActive)
        _ = try channel.finish()
    }
}
