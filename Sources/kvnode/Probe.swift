import ArgumentParser
import Foundation
import Glibc
import KVConfiguration
import KVPosix
import KVTLS
import NIOCore

/// What `--probe` asks of the node that runs with the same configuration: for health checks of containers, which have no curl.
enum Probe: String, CaseIterable, ExpressibleByArgument, Decodable {
    /// Whether it runs.
    case livez
    /// Whether it serves.
    case readyz
    /// Hand leadership over, before the node is stopped.
    case handOver = "hand-over"

    /// For how long load balancers are given to forget a node that is about to stop.
    private static let forgetSeconds: UInt32 = 3

    /// Asks.
    /// - Throws: `ProbeError` where the answer is not 2xx, or there is none.
    func run(_ address: HostPort, overTLS isSecure: Bool, authorization: String? = nil) throws {
        switch self {
        case .livez: try Self.expectSuccess(Self.exchange("GET", "/livez", at: address, isSecure))
        case .readyz: try Self.expectSuccess(Self.exchange("GET", "/readyz", at: address, isSecure))
        case .handOver:
            try Self.expectSuccess(
                Self.exchange("POST", "/admin/v1/leadership", body: "{}", authorization, at: address, isSecure)
            )
            sleep(Self.forgetSeconds)
        }
    }

    /// The header field that proves who asks: `name:password` or a token on the file's first line; nil where there is none.
    static func authorization(inFile path: String) -> String? {
        // A file that cannot be read proves nothing: the node then says what it wants.
        guard let bytes = try? PosixFileSystem().readAll(path) else { return nil }
        let line = String(
            decoding: bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") },
            as: UTF8.self
        )
        guard !line.isEmpty else { return nil }
        return line.contains(":") ? "Basic \(Data(line.utf8).base64EncodedString())" : "Bearer \(line)"
    }

    private static func expectSuccess(_ answer: String) throws {
        let status = answer.split(separator: " ", maxSplits: 2).dropFirst().first ?? ""
        guard status.hasPrefix("2") else {
            let body = answer.split(separator: "\r\n\r\n", maxSplits: 1).dropFirst().first ?? "no answer"
            throw ProbeError("\(status): \(body)")
        }
    }

    /// One request over a connection of its own; at most two seconds for each step.
    private static func exchange(
        _ method: String,
        _ path: String,
        body: String = "",
        _ authorization: String? = nil,
        at address: HostPort,
        _ isSecure: Bool
    ) throws -> String {
        let proof = authorization.map { "Authorization: \($0)\r\n" } ?? ""
        let type = body.isEmpty ? "" : "Content-Type: application/json\r\n"
        let request =
            "\(method) \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\(proof)\(type)"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let bytes = Array(request.utf8)
        if isSecure { return try secureExchange(bytes, at: address) }
        let socket = try connect(to: address)
        defer { close(socket) }
        guard send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw ProbeError("\(address) does not take a request")
        }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while answer.count < 65_536 {
            let count = recv(socket, &part, part.count, 0)
            guard count > 0 else { break }
            answer += part.prefix(count)
        }
        guard !answer.isEmpty else { throw ProbeError("\(address) does not answer") }
        return String(decoding: answer, as: UTF8.self)
    }

    private static func secureExchange(_ request: [UInt8], at address: HostPort) throws -> String {
        do {
            let answer = try TLSExchange.exchange(
                request,
                host: host(address),
                port: address.port,
                bytesMax: 65_536,
                timeout: .seconds(2)
            )
            return String(decoding: answer, as: UTF8.self)
        } catch {
            throw ProbeError("\(address) does not answer over TLS: \(error)")
        }
    }

    /// What listens on every address is asked at this machine's own.
    private static func host(_ address: HostPort) -> String {
        ["0.0.0.0": "127.0.0.1", "::": "::1"][address.host] ?? address.host
    }

    private static func connect(to address: HostPort) throws -> Int32 {
        let host = host(address)
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(address.port)", &hints, &found) == 0 else { throw ProbeError("\(host) is unknown") }
        defer { freeaddrinfo(found) }
        var next = found
        while let candidate = next?.pointee {
            next = candidate.ai_next
            let socket = Glibc.socket(candidate.ai_family, candidate.ai_socktype, candidate.ai_protocol)
            guard socket >= 0 else { continue }
            var patience = timeval(tv_sec: 2, tv_usec: 0)
            let length = socklen_t(MemoryLayout<timeval>.size)
            // A system that refuses the bound waits longer; the health check that asked has its own.
            setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, length)
            setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, length)
            if Glibc.connect(socket, candidate.ai_addr, candidate.ai_addrlen) == 0 { return socket }
            close(socket)
        }
        throw ProbeError("nothing listens at \(address): the node does not run, or http.listen differs")
    }
}

/// Why a probe failed, for a person.
struct ProbeError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
