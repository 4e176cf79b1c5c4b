import Foundation
import Testing

/// What a process takes of the system's memory and descriptors.
struct ProcessReading: CustomStringConvertible {
    let residentBytes: Int
    let descriptors: Int

    init(_ pid: Int32) throws {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        residentBytes = (Int(line.split(separator: " ").dropFirst().first ?? "") ?? 0) << 10
        descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
    }

    var description: String { "\(residentBytes >> 20) MiB, \(descriptors) descriptors" }
}

extension TestCluster {
    func processID(_ id: Int) throws -> Int32 {
        let text = try String(contentsOf: folder.file("n\(id).pid"), encoding: .utf8)
        return try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    func reading(_ id: Int) throws -> ProcessReading { try ProcessReading(processID(id)) }
}

/// Very many connections to one port of this machine, each a bare descriptor.
final class ConnectionCrowd {
    private var descriptors: [Int32] = []

    var count: Int { descriptors.count }

    /// Connects so often, and sends each some bytes; stops where the system has no more.
    init(_ count: Int, port: Int, sending bytes: (Int) -> [UInt8] = { _ in [] }) {
        Self.raiseLimit()
        var address = Socket.loopback(port)
        for number in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { return }
            var patience = timeval(tv_sec: 30, tv_usec: 0)
            let length = socklen_t(MemoryLayout<timeval>.size)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, length)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, length)
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard code == 0 else {
                close(descriptor)
                return
            }
            descriptors.append(descriptor)
            let sent = bytes(number)
            if !sent.isEmpty { send(descriptor, sent, sent.count, Int32(MSG_NOSIGNAL)) }
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// How many the other end has closed, or sent something on.
    var answeredCount: Int {
        descriptors.count { descriptor in
            var byte: UInt8 = 0
            let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
            return count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)
        }
    }

    /// This process may have as many descriptors as the system allows.
    private static func raiseLimit() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
