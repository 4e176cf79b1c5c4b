import Foundation
import Glibc

/// A line as it is typed: the text, where the cursor stands, and what each key does to them.
///
/// Keys: arrows, Home, End, Delete, Backspace, Ctrl-A E B F K U W D C L P N and Tab.
struct EditedLine {
    private(set) var characters: [Character] = []
    private(set) var cursor = 0
    private var history: [String]
    /// Which line of the history is shown; `history.count` is the new one.
    private var place: Int
    private var draft: [Character] = []

    init(history: [String]) {
        self.history = history
        place = history.count
    }

    var text: String { String(characters) }

    mutating func insert(_ character: Character) {
        characters.insert(character, at: cursor)
        cursor += 1
    }

    mutating func insert(_ text: String) { for character in text { insert(character) } }

    mutating func deleteBackward() {
        guard cursor > 0 else { return }
        cursor -= 1
        characters.remove(at: cursor)
    }

    mutating func deleteForward() {
        guard cursor < characters.count else { return }
        characters.remove(at: cursor)
    }

    mutating func move(by count: Int) { cursor = min(characters.count, max(0, cursor + count)) }
    mutating func moveToStart() { cursor = 0 }
    mutating func moveToEnd() { cursor = characters.count }
    mutating func cutToEnd() { characters.removeSubrange(cursor...) }

    mutating func cutToStart() {
        characters.removeSubrange(..<cursor)
        cursor = 0
    }

    mutating func cutWord() {
        var start = cursor
        while start > 0, characters[start - 1] == " " { start -= 1 }
        while start > 0, characters[start - 1] != " " { start -= 1 }
        characters.removeSubrange(start..<cursor)
        cursor = start
    }

    /// Shows an older line (-1) or a newer one (1).
    mutating func turnHistory(_ step: Int) {
        let next = place + step
        guard (0...history.count).contains(next) else { return }
        if place == history.count { draft = characters }
        place = next
        characters = place == history.count ? draft : Array(history[place])
        cursor = characters.count
    }

    /// Completes the word before the cursor as far as all candidates agree.
    /// - Returns: the candidates, where there are several and nothing was added.
    mutating func complete(_ candidates: (String) -> [String]) -> [String] {
        let before = String(characters[..<cursor])
        let found = candidates(before)
        let word = before.split(separator: " ", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        guard let first = found.first else { return [] }
        var shared = first
        for other in found.dropFirst() { shared = String(zip(shared, other).prefix { $0 == $1 }.map(\.0)) }
        let addition = String(shared.dropFirst(word.count))
        insert(addition)
        if found.count == 1 { insert(" ") }
        return found.count > 1 && addition.isEmpty ? found : []
    }
}

/// Reads lines from a terminal, key by key.
struct LineEditor {
    enum Outcome {
        case line(String)
        /// Ctrl-C.
        case interrupted
        /// Ctrl-D on an empty line, or nothing more to read.
        case end
    }

    private var history: ShellHistory
    private let candidates: (String) -> [String]

    init(history: ShellHistory, candidates: @escaping (String) -> [String]) {
        self.history = history
        self.candidates = candidates
    }

    mutating func read(prompt: String) -> Outcome {
        var old = termios()
        guard tcgetattr(STDIN_FILENO, &old) == 0 else { return .end }
        var raw = old
        cfmakeraw(&raw)
        // Output as always: commands run in this mode never, but a newline of ours shall be one.
        raw.c_oflag |= tcflag_t(OPOST)
        guard tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0 else { return .end }
        defer {
            var restored = old
            tcsetattr(STDIN_FILENO, TCSADRAIN, &restored)
        }
        var line = EditedLine(history: history.lines)
        while true {
            draw(prompt, line)
            guard let key = nextByte() else { return .end }
            switch key {
            case 0x0d, 0x0a:
                write("\n")
                history.add(line.text)
                return .line(line.text)
            case 0x03:
                write("^C\n")
                return .interrupted
            case 0x04 where line.characters.isEmpty:
                write("\n")
                return .end
            case 0x04: line.deleteForward()
            case 0x09: show(line.complete(candidates))
            case 0x0c: write("\u{1b}[H\u{1b}[2J")
            case 0x1b: escape(&line)
            default: edit(&line, key)
            }
        }
    }

    private func edit(_ line: inout EditedLine, _ key: UInt8) {
        switch key {
        case 0x7f, 0x08: line.deleteBackward()
        case 0x01: line.moveToStart()
        case 0x05: line.moveToEnd()
        case 0x02: line.move(by: -1)
        case 0x06: line.move(by: 1)
        case 0x0b: line.cutToEnd()
        case 0x15: line.cutToStart()
        case 0x17: line.cutWord()
        case 0x10: line.turnHistory(-1)
        case 0x0e: line.turnHistory(1)
        case 0x20...: if let character = character(from: key) { line.insert(character) }
        default: break
        }
    }

    /// What an arrow or a key of the block above it sends behind the escape.
    private func escape(_ line: inout EditedLine) {
        guard let second = nextByte(), second == 0x5b || second == 0x4f, let third = nextByte() else { return }
        switch third {
        case UInt8(ascii: "A"): line.turnHistory(-1)
        case UInt8(ascii: "B"): line.turnHistory(1)
        case UInt8(ascii: "C"): line.move(by: 1)
        case UInt8(ascii: "D"): line.move(by: -1)
        case UInt8(ascii: "H"): line.moveToStart()
        case UInt8(ascii: "F"): line.moveToEnd()
        case UInt8(ascii: "1")...UInt8(ascii: "8"):
            // `ESC [ 3 ~`, with numbers of modifiers before the end.
            while let next = nextByte(), next != UInt8(ascii: "~"), next < 0x40 {}
            switch third {
            case UInt8(ascii: "1"), UInt8(ascii: "7"): line.moveToStart()
            case UInt8(ascii: "4"), UInt8(ascii: "8"): line.moveToEnd()
            case UInt8(ascii: "3"): line.deleteForward()
            default: break
            }
        default: break
        }
    }

    private func draw(_ prompt: String, _ line: EditedLine) {
        let back = line.characters.count - line.cursor
        write("\r\u{1b}[K\(prompt)\(line.text)" + (back > 0 ? "\u{1b}[\(back)D" : ""))
    }

    private func show(_ candidates: [String]) {
        if !candidates.isEmpty { write("\n" + candidates.joined(separator: "  ") + "\n") }
    }

    /// A character of which one byte was read.
    private func character(from first: UInt8) -> Character? {
        let count =
            switch first {
            case 0xc2...0xdf: 1
            case 0xe0...0xef: 2
            case 0xf0...0xf4: 3
            default: 0
            }
        var bytes = [first]
        for _ in 0..<count { if let next = nextByte() { bytes.append(next) } }
        return String(validating: bytes, as: UTF8.self)?.first
    }

    private func nextByte() -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = Glibc.read(STDIN_FILENO, &byte, 1)
            if count == 1 { return byte }
            // A resized window interrupts the wait.
            guard count < 0, errno == EINTR else { return nil }
        }
    }
}
