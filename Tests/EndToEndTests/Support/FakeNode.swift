import Foundation
import Synchronization

/// Something that answers HTTP and the Redis protocol as it is told to, so that what kvctl prints is the same every time.
final class FakeNode: Sendable {
    /// What a request is answered with.
    struct Page {
        let status: Int
        let body: String

        init(_ status: Int = 200, _ body: String) {
            self.status = status
            self.body = body
        }
    }

    let http: Int
    let resp: Int
    private let listeners: [Listener]

    /// `pages` has the answers by method and path without query, `words` by what a command begins with; a command without an answer, or
    /// with an empty one, ends its connection.
    init(pages: [String: Page], words: [(prefix: String, answer: String)]) throws {
        let (web, redis) = (try Listener(), try Listener())
        (http, resp) = (web.port, redis.port)
        listeners = [web, redis]
        Thread.detachNewThread {
            while let socket = web.accept() { Thread.detachNewThread { Self.serveWeb(socket, pages) } }
        }
        Thread.detachNewThread {
            while let socket = redis.accept() { Thread.detachNewThread { Self.serveRedis(socket, words) } }
        }
    }

    func stop() { for listener in listeners { listener.stop() } }

    private static func serveWeb(_ socket: Socket, _ pages: [String: Page]) {
        // Ends with the connection.
        while let request = try? socket.readLine() {
            let parts = String(decoding: request, as: UTF8.self).split(separator: " ")
            guard parts.count == 3 else { return }
            var length = 0
            while let line = try? socket.readLine(), !line.isEmpty {
                let text = String(decoding: line, as: UTF8.self).lowercased()
                if text.hasPrefix("content-length:") {
                    length = Int(text.dropFirst(15).trimmingCharacters(in: .whitespaces)) ?? 0
                }
            }
            guard (try? socket.read(length)) != nil else { return }
            let path = parts[1].split(separator: "?").first ?? "/"
            let error =
                #"{"code":"not_found","message":"there is no '\#(path)' here","retryable":false,"requestId":"1"}"#
            let page = pages["\(parts[0]) \(path)"] ?? Page(404, error)
            let body = Array(page.body.utf8)
            let head =
                "HTTP/1.1 \(page.status) X\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
            guard (try? socket.send(Array(head.utf8) + body)) != nil else { return }
        }
    }

    private static func serveRedis(_ socket: Socket, _ words: [(prefix: String, answer: String)]) {
        while let head = try? socket.readLine(), head.first == UInt8(ascii: "*") {
            let count = Int(String(decoding: head.dropFirst(), as: UTF8.self)) ?? 0
            var command: [String] = []
            for _ in 0..<count {
                guard let line = try? socket.readLine(),
                    let length = Int(String(decoding: line.dropFirst(), as: UTF8.self)),
                    let bytes = try? socket.read(length + 2)
                else { return }
                command.append(String(decoding: bytes.dropLast(2), as: UTF8.self))
            }
            let text = command.joined(separator: " ")
            guard let answer = words.first(where: { text.hasPrefix($0.prefix) })?.answer,
                !answer.isEmpty,
                (try? socket.send(Array(answer.utf8))) != nil
            else { return socket.finish() }
        }
    }
}
