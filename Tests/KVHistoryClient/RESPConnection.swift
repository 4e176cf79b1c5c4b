/// A Redis client that does one thing after another.
package struct RESPConnection {
    /// What a node answered.
    package enum Answer: Hashable, CustomStringConvertible {
        /// A word, as `OK`.
        case simple(String)
        /// An error's text.
        case error(String)
        /// A number.
        case number(Int64)
        /// Bytes.
        case bulk([UInt8])
        /// Nothing.
        case none
        /// Several.
        case list([Answer])

        /// As text for a message.
        package var description: String {
            switch self {
            case .simple(let text): text
            case .error(let text): "-\(text)"
            case .number(let number): ":\(number)"
            case .bulk(let bytes):
                bytes.count <= 100 ? "\"\(String(decoding: bytes, as: UTF8.self))\"" : "\(bytes.count) bytes"
            case .none: "nil"
            case .list(let answers): "\(answers)"
            }
        }

        /// What most writes are answered.
        package static let ok = Answer.simple("OK")

        /// A value that is text.
        package static func text(_ text: String) -> Answer { .bulk(Array(text.utf8)) }
    }

    /// What it talks through.
    package let socket: Socket

    /// Connects to a port of this machine; an answer that takes longer than `seconds` is a failure.
    package init(port: Int, within seconds: Double = 5) throws {
        socket = try Socket(port: port, within: seconds)
    }

    /// Sends one command of words and reads its answer.
    package func ask(_ words: String...) throws -> Answer { try ask(words.map { Array($0.utf8) }) }

    /// Sends one command of bytes and reads its answer.
    package func ask(_ words: [[UInt8]]) throws -> Answer {
        try send(words)
        return try answer()
    }

    /// Sends one command of bytes.
    package func send(_ words: [[UInt8]]) throws {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
        try socket.send(bytes)
    }

    /// Reads the next answer.
    package func answer() throws -> Answer {
        let line = try socket.readLine()
        let text = String(decoding: line.dropFirst(), as: UTF8.self)
        switch line.first.map({ Character(Unicode.Scalar($0)) }) {
        case "+": return .simple(text)
        case "-": return .error(text)
        case ":": return .number(Int64(text) ?? .min)
        case "_": return .none
        case "$":
            guard let count = Int(text), count >= 0 else { return .none }
            return .bulk(Array(try socket.read(count + 2).dropLast(2)))
        case "*":
            guard let count = Int(text), count >= 0 else { return .none }
            return .list(try (0..<count).map { _ in try answer() })
        default: throw Socket.Failure(description: "an answer \(String(decoding: line, as: UTF8.self))")
        }
    }
}
