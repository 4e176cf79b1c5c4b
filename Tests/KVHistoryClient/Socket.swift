package import Glibc

/// A blocking TCP connection to this machine, with a time limit on each wait.
// SENDABLE: a relay sends from one thread and receives on another, which a socket allows; nothing else is shared.
package final class Socket: @unchecked Sendable {
    /// What went wrong.
    package struct Failure: Error, CustomStringConvertible {
        /// In words.
        package let description: String

        /// A failure that is described so.
        package init(description: String) { self.description = description }
    }

    private let descriptor: Int32
    private var received: [UInt8] = []
    private var start = 0

    /// Connects to a port of this machine; an answer that takes longer than `seconds` is a failure.
    package init(port: Int, within seconds: Double = 5) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "socket: \(errno)") }
        var limit = timeval(tv_sec: Int(seconds), tv_usec: Int((seconds - seconds.rounded(.down)) * 1_000_000))
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = Self.loopback(port)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // All is set by now, so the descriptor is closed by `deinit`.
        guard code == 0 else {
            throw Failure(description: "connect to port \(port): \(String(cString: strerror(errno)))")
        }
    }

    /// A connection that was accepted; waits for as long as it takes.
    package init(accepted: Int32) { descriptor = accepted }

    deinit { close(descriptor) }

    /// The address of a port of this machine.
    package static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return address
    }

    /// Sends all of this.
    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "send: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    /// What has arrived, or nothing at the end; for who never asks for lines.
    package func receive() throws -> [UInt8] {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let count = piece.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw Failure(description: "receive: \(String(cString: strerror(errno)))") }
        return Array(piece[..<count])
    }

    /// Whether the other end has closed the connection, after whatever it said.
    package var isClosedByOther: Bool {
        var piece = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &piece, piece.count, Int32(MSG_DONTWAIT))
            if count > 0 { continue }
            return count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        }
    }

    /// Ends both directions; who waits for more hears of it.
    package func finish() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Says that nothing more will be sent.
    package func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next line, without its CR LF.
    package func readLine() throws -> [UInt8] {
        while true {
            if let end = received[start...].firstIndex(of: 10), end > start, received[end - 1] == 13 {
                defer { start = end + 1 }
                return Array(received[start..<(end - 1)])
            }
            guard try fill() else { throw Failure(description: "closed in the middle of a line") }
        }
    }

    /// Exactly this many bytes.
    package func read(_ count: Int) throws -> [UInt8] {
        while received.count - start < count {
            guard try fill() else {
                throw Failure(description: "closed after \(received.count - start) of \(count) bytes")
            }
        }
        defer { start += count }
        return Array(received[start..<(start + count)])
    }

    /// Everything until the other end closes.
    package func readToEnd() throws -> [UInt8] {
        while try fill() {}
        defer { start = received.count }
        return Array(received[start...])
    }

    /// Receives more; false at the end.
    private func fill() throws -> Bool {
        if start > 1 << 16 {
            received.removeFirst(start)
            start = 0
        }
        let piece = try receive()
        received += piece
        return !piece.isEmpty
    }
}
