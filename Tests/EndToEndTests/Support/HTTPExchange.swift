import Foundation

/// One HTTP request on a connection of its own, and its answer.
struct HTTPExchange {
    let status: Int
    /// Names in lower case.
    let headers: [String: String]
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON object; empty where it is none.
    var object: [String: Any] {
        // A body that is no JSON shows as missing members in the test that reads them.
        (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
    }

    /// Sends a request to a port of this machine and reads the answer.
    static func send(
        _ method: String,
        _ path: String,
        port: Int,
        headers: [String: String] = [:],
        body: [UInt8]? = nil,
        within seconds: Double = 10
    ) throws -> HTTPExchange {
        let socket = try Socket(port: port, within: seconds)
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body, headers["Content-Length"] == nil { head += "Content-Length: \(body.count)\r\n" }
        try socket.send(Array((head + "\r\n").utf8) + (body ?? []))
        return try read(socket, hasBody: method != "HEAD")
    }

    static func read(_ socket: Socket, hasBody: Bool = true) throws -> HTTPExchange {
        let words = String(decoding: try socket.readLine(), as: UTF8.self).split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else {
            throw Socket.Failure(description: "a status line \(words)")
        }
        var headers: [String: String] = [:]
        while true {
            let line = String(decoding: try socket.readLine(), as: UTF8.self)
            if line.isEmpty { break }
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        }
        var body: [UInt8] = []
        if !hasBody || status == 204 || status == 304 {
            return HTTPExchange(status: status, headers: headers, body: [])
        } else if headers["transfer-encoding"]?.lowercased() == "chunked" {
            while true {
                let size = String(decoding: try socket.readLine(), as: UTF8.self).split(separator: ";").first ?? ""
                guard let count = Int(size, radix: 16), count > 0 else { break }
                body += try socket.read(count)
                _ = try socket.readLine()
            }
        } else if let count = headers["content-length"].flatMap({ Int($0) }) {
            body = try socket.read(count)
        } else {
            body = try socket.readToEnd()
        }
        return HTTPExchange(status: status, headers: headers, body: body)
    }
}
