import Foundation

/// What Redis answered to commands, by the command that they are about: Tests/Fixtures/redis-examples.txt.
struct RedisExamples {
    struct Step {
        var words: [String]
        var answer: String
    }

    let blocks: [String: [Step]]

    init() throws {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<2 { root.deleteLastPathComponent() }
        let text = try String(contentsOf: root.appending(path: "Fixtures/redis-examples.txt"), encoding: .utf8)
        var blocks: [String: [Step]] = [:]
        var name = ""
        var words: [String] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") {
                name = String(line.dropFirst(3))
                blocks[name] = []
            } else if line.hasPrefix("    ") {
                blocks[name]?.append(Step(words: words, answer: String(line.dropFirst(4))))
            } else {
                words = Self.words(line)
            }
        }
        self.blocks = blocks
    }

    /// The words of a line as a shell has them; single quotes only.
    private static func words(_ line: Substring) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for character in line {
            if character == "'" {
                isQuoted.toggle()
                word = word ?? ""
            } else if character == " ", !isQuoted {
                if let word { words.append(word) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }

    /// An answer in RESP2 as the file writes it.
    static func notation(_ answer: String) -> String {
        var lines = answer.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
        return notation(&lines)
    }

    private static func escaped(_ text: Substring) -> String {
        text.utf8.map { byte in
            let isPlain = (32..<127).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            return isPlain ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    private static func notation(_ lines: inout ArraySlice<Substring>) -> String {
        guard let line = lines.popFirst() else { return "nothing" }
        switch line.first {
        case "$":
            guard line != "$-1" else { return "nil" }
            return "\"" + escaped(lines.popFirst() ?? "") + "\""
        case "*":
            guard let count = Int(line.dropFirst()), count >= 0 else { return "nil" }
            return "[" + (0..<count).map { _ in notation(&lines) }.joined(separator: ", ") + "]"
        default: return String(line)
        }
    }
}
