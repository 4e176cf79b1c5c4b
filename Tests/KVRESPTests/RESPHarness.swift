import KVBase
import KVFakeService
import KVService
import KVTelemetry
import Logging
import NIOCore
import NIOEmbedded

@testable import KVRESP

/// A server with one client on a channel without a socket.
final class RESPHarness {
    let service: FakeService
    let server: RESPServer
    let channel: EmbeddedChannel
    let registry = MetricRegistry()

    init(
        limits: RequestLimits = RequestLimits(),
        scanPositionsMax: Int = 4_096,
        _ change: (inout RESPSettings) -> Void = { _ in }
    ) throws {
        let service = FakeService(limits: limits, scanPositionsMax: scanPositionsMax)
        self.service = service
        var settings = RESPSettings(node: NodeID(1), softwareVersion: "0.1.0") { service.now }
        change(&settings)
        server = RESPServer(
            service: service,
            settings: settings,
            metrics: registry,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        channel = EmbeddedChannel()
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try server.adopt(channel)
    }

    /// Sends bytes as one read and returns what came back by the end of the turn.
    func send(_ bytes: [UInt8]) throws -> String {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        return try received()
    }

    func send(_ text: String) throws -> String { try send(Array(text.utf8)) }

    /// Sends a command as an array of bulk strings.
    func call(_ arguments: String...) throws -> String { try send(encode(arguments)) }

    /// What came back until now.
    func received() throws -> String {
        channel.embeddedEventLoop.run()
        var all = ByteBuffer()
        while var part = try channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&part) }
        return String(buffer: all)
    }

    func setWritable(_ isWritable: Bool) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }
}

/// A command as an array of bulk strings.
func encode(_ arguments: [String]) -> [UInt8] {
    var text = "*\(arguments.count)\r\n"
    for argument in arguments { text += "$\(argument.utf8.count)\r\n\(argument)\r\n" }
    return Array(text.utf8)
}

/// A command line as an array of bulk strings.
func encode(line: String) -> [UInt8] {
    encode(line.split(separator: " ").map(String.init))
}
