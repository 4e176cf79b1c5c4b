package import KVBase
package import NIOCore

/// Where a node is reached: a name or an address without brackets, and a port.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The host, resolved anew at every connection.
    package let host: String
    /// The port; 0 where a listener lets the system choose.
    package let port: Int

    /// The address with these parts.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// The address written as `host:port` or `[host]:port`; nil where `text` is neither.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// As people write it.
    package var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// How a node keeps its connections.
package struct PeerSettings: Sendable {
    /// How long a connection may take to open, handshake included.
    package var connectTimeout = Duration.seconds(1)
    /// A connection on which nothing arrived for this long is closed; pings go at a quarter of it.
    package var idleTimeout = Duration.seconds(2)
    /// The wait before the first attempt to connect again; it doubles up to `backOffMax`, and each is drawn from half to all of it.
    package var backOffMin = Duration.milliseconds(50)
    /// The longest wait between attempts to connect.
    package var backOffMax = Duration.seconds(1)
    /// How many bytes may wait for one node before messages to it are dropped.
    package var queueBytesMax = 64 * 1024 * 1024
    /// The greatest frame: one greatest batch, and 1 MiB for its envelope and what travels with it.
    package var frameBytesMax = Limits.entryBytesMax + 1024 * 1024
    /// How fast the bulk connection to one node sends.
    package var bulkBytesPerSecond = 64 * 1024 * 1024
    /// How many bytes may wait for the bulk connection to one node.
    package var bulkQueueBytesMax = 8 * 1024 * 1024
    /// A bulk connection that had nothing to send for this long is closed.
    package var bulkIdleTimeout = Duration.seconds(10)

    /// Has a node that connects prove itself; nil where peers speak in the clear.
    package var secureAccepted: (@Sendable (any Channel) throws -> Void)?
    /// The same towards a node that is dialled under this host name or address.
    package var secureDialed: (@Sendable (any Channel, String) throws -> Void)?

    /// The nodes for which the other end's certificate was issued, on the loop; empty or nil where it names none.
    package var certifiedNodes: (@Sendable (any Channel) -> [NodeID]?)?

    /// The defaults.
    package init() {}
}

extension Duration {
    var timeAmount: TimeAmount {
        let (seconds, attoseconds) = components
        return .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
