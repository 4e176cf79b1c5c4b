import AsyncHTTPClient
import Foundation
import NIOCore

/// Requests over HTTP: any of the nodes for data, each by name for administration.
final class HTTPAccess: Sendable {
    struct Answer {
        let status: Int
        let body: [UInt8]
    }

    private let endpoints: [Endpoint]
    private let timeout: Duration
    private let client: HTTPClient
    private let scheme: String
    private let authorization: String?

    init(_ configuration: KVClient.Configuration) {
        endpoints = configuration.httpEndpoints
        timeout = configuration.requestTimeout
        var options = HTTPClient.Configuration()
        options.timeout.connect = TimeAmount(configuration.connectTimeout)
        options.redirectConfiguration = .disallow
        // Who asks knows other nodes to go to, and that one is down is an answer.
        options.connectionPool.retryConnectionEstablishment = false
        scheme = configuration.tls == nil ? "http" : "https"
        authorization = configuration.credentials?.httpAuthorization
        if let tls = configuration.tls { options.tlsConfiguration = tls.configuration }
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
    }

    /// A client that nobody shut down would trap as it goes; where it was, this says so to nobody.
    deinit {
        client.shutdown { _ in }
    }

    func shutdown() async {
        // Fails only where it was shut down before, and then there is nothing to do.
        try? await client.shutdown()
    }

    /// One request to one node, with the whole answer read before the deadline.
    func fetch(_ path: String, from endpoint: Endpoint, within limit: Duration) async throws(ClientError) -> Answer {
        try await send("GET", path, nil, to: endpoint, within: limit)
    }

    /// The same with any method and a body.
    func send(
        _ method: String,
        _ path: String,
        _ body: [UInt8]?,
        headers: [(String, String)] = [],
        to endpoint: Endpoint,
        within limit: Duration
    ) async throws(ClientError) -> Answer {
        do {
            var request = HTTPClientRequest(url: "\(scheme)://\(endpoint)\(path)")
            request.method = .init(rawValue: method)
            request.headers.add(name: "Accept", value: "application/json")
            if let authorization { request.headers.add(name: "Authorization", value: authorization) }
            for (name, value) in headers { request.headers.add(name: name, value: value) }
            if let body { request.body = .bytes(body) }
            let response = try await client.execute(request, deadline: .now() + TimeAmount(limit))
            let body = try await response.body.collect(upTo: ClientLimits.httpBodyBytesMax)
            return Answer(status: Int(response.status.code), body: Array(body.readableBytesView))
        } catch let error as HTTPClientError {
            switch error {
            case .connectTimeout: throw .cannotConnect("\(endpoint): no connection in time")
            case .deadlineExceeded: throw .timedOut("\(endpoint)\(path): no answer within \(limit)")
            case .remoteConnectionClosed: throw .connectionLost("\(endpoint): closed before the answer")
            default: throw .protocolViolation("\(endpoint): \(error.shortDescription)")
            }
        } catch let error as NIOTooManyBytesError {
            throw .protocolViolation("\(endpoint)\(path): the answer is over \(error.maxBytes ?? 0) bytes")
        } catch let error as ClientError {
            throw error
        } catch is CancellationError {
            throw .closed
        } catch {
            throw .cannotConnect("\(endpoint): \(RESPConnection.reason(error))")
        }
    }

    /// A read from the first node that serves it; a node that is down, without a leader or overloaded is passed over.
    func read(_ path: String) async throws(ClientError) -> Answer {
        guard !endpoints.isEmpty else { throw .invalidArgument("no HTTP endpoint was given") }
        let deadline = ContinuousClock.now + timeout
        var backOff = BackOff(from: .milliseconds(20), to: .milliseconds(500))
        var last: ClientError = .closed
        repeat {
            for endpoint in endpoints {
                let left = deadline - ContinuousClock.now
                guard left > .zero else { throw last }
                do throws(ClientError) {
                    let answer = try await fetch(path, from: endpoint, within: left)
                    guard [429, 502, 503, 504].contains(answer.status) else { return answer }
                    last = .unavailable("\(endpoint): \(Self.message(answer))")
                } catch {
                    switch error {
                    case .cannotConnect, .connectionLost, .timedOut: last = error
                    default: throw error
                    }
                }
            }
            do {
                try await Task.sleep(for: min(backOff.next(), max(.zero, deadline - ContinuousClock.now)))
            } catch {
                throw .closed
            }
        } while ContinuousClock.now < deadline
        throw last
    }

    func get(_ key: [UInt8], _ consistency: KVClient.Consistency) async throws(ClientError) -> [UInt8]? {
        let answer = try await read("/v1/kv/\(Self.percentEncoded(key))?consistency=\(consistency.rawValue)")
        switch answer.status {
        case 200: return answer.body
        case 404: return nil
        default: throw .httpStatus(answer.status, message: Self.message(answer))
        }
    }

    /// Whether a key can be the last part of a URL's path: URL types drop a path that is not UTF-8 once decoded, and
    /// resolve dots.
    ///
    /// In the query any byte can be.
    static func canBePath(_ key: [UInt8]) -> Bool {
        !key.isEmpty && key != [0x2e] && key != [0x2e, 0x2e] && String(validating: key, as: UTF8.self) != nil
    }

    /// What an error body says, or its first line.
    static func message(_ answer: Answer) -> String {
        struct Body: Decodable {
            let code: String?
            let message: String?
        }
        // A body that is not our JSON is shown as it is.
        if let body = try? JSONDecoder().decode(Body.self, from: Data(answer.body)), let message = body.message {
            return "\(body.code ?? String(answer.status)): \(message)"
        }
        let line = answer.body.prefix(200).prefix { $0 != 0x0a && $0 != 0x0d }
        return line.isEmpty ? "HTTP \(answer.status)" : String(decoding: line, as: UTF8.self)
    }

    /// Every byte but letters, digits and `-._~` as `%XX`.
    static func percentEncoded(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.append(byte)
            default:
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
