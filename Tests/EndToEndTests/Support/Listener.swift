import Foundation
import KVHistoryClient

/// A listening socket on a free port.
final class Listener: Sendable {
    let port: Int
    private let descriptor: Int32

    init() throws {
        (descriptor, port) = try TakenPort.listen(backlog: 64)
    }

    deinit { close(descriptor) }

    /// The next connection; nil once stopped.
    func accept() -> Socket? {
        let accepted = Glibc.accept(descriptor, nil, nil)
        return accepted >= 0 ? Socket(accepted: accepted) : nil
    }

    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}

/// A port on which somebody listens and never answers, for as long as this lives.
final class TakenPort {
    let port: Int
    private let descriptor: Int32

    init() throws {
        (descriptor, port) = try Self.listen(backlog: 1)
    }

    /// A descriptor that listens, and its port.
    static func listen(backlog: Int32) throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Socket.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, backlog) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else {
            let number = errno
            close(descriptor)
            throw Socket.Failure(description: "bind: \(String(cString: strerror(number)))")
        }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    deinit { close(descriptor) }

    /// Ports that were free a moment ago and differ from each other.
    static func free(_ count: Int) throws -> [Int] {
        let taken = try (0..<count).map { _ in try TakenPort() }
        return withExtendedLifetime(taken) { taken.map(\.port) }
    }
}
