import Foundation
import Testing

@Suite struct `form` {
    /// Files that are longer for a reason; the number is what they may have.
    static let longFiles: [String: Int] = [:]

    @Test func `no file is longer than 600 lines`() throws {
        let long = try Self.all().filter { $0.lines.count > Self.longFiles[$0.path] ?? 600 }
        #expect(long.map { "\($0.path): \($0.lines.count) lines; a second idea may want its own file" } == [])
    }

    @Test func `no code ends the process in place of an error`() throws {
        // Written in two parts so that this file does not find itself.
        let forbidden = [
            ("try" + "!", "throw, or prove with a precondition"),
            ("fatal" + "Error(", "throw, or use preconditionFailure"),
            ("as" + "! ", "cast with `as?`"), ("Task." + "detached", "use a task group or a service"),
        ]
        var problems: [String] = []
        for file in try SourceTree.swiftFiles(in: "Sources") where !file.isGenerated {
            for (index, line) in file.lines.enumerated() where !isComment(line) {
                for (mark, instead) in forbidden where line.contains(mark) {
                    problems.append("\(file.path):\(index + 1): \(mark) ends the process; \(instead)")
                }
            }
        }
        #expect(problems == [])
    }

    @Test func `no unfinished work is marked without an issue`() throws {
        var problems: [String] = []
        for file in try Self.all() {
            for (index, line) in file.lines.enumerated() {
                if line.contains("FIX" + "ME") {
                    problems.append("\(file.path):\(index + 1): finish it, or open an issue")
                }
                guard let mark = line.range(of: "TO" + "DO") else { continue }
                let rest = line[mark.upperBound...]
                if !rest.hasPrefix("(#") || rest.dropFirst(2).first?.isNumber != true {
                    problems.append("\(file.path):\(index + 1): name an issue, as in (#123), after the mark")
                }
            }
        }
        #expect(problems == [])
    }

    @Test func `what the compiler does not check says why it is safe`() throws {
        var problems: [String] = []
        for file in try Self.all() where file.module != "LayeringTests" {
            for (index, line) in file.lines.enumerated() where !isComment(line) {
                guard line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") else { continue }
                if !hasReason(at: index, in: file.lines) {
                    problems.append("\(file.path):\(index + 1): give the reason in a comment with SENDABLE: above it")
                }
            }
        }
        #expect(problems == [])
    }

    @Test func `no file name has a space`() throws {
        let paths = try SourceTree.paths(in: "Sources") + SourceTree.paths(in: "Tests")
        #expect(paths.filter { $0.contains(" ") } == [])
    }

    @Test func `every test folder belongs to a target of the manifest`() throws {
        let manifest = try String(contentsOf: SourceTree.root.appending(path: "Package.swift"), encoding: .utf8)
        let folders = try SourceTree.modules(in: "Tests") + SourceTree.modules(in: "Sources")
        // Files that tests read.
        let unused = folders.filter { $0 != "Fixtures" && !manifest.contains("\"\($0)\"") }
        #expect(unused == [], "nothing in a folder without a target is built")
    }

    private static func all() throws -> [SourceTree.File] {
        try (SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests")).filter { !$0.isGenerated }
    }

    private func isComment(_ line: Substring) -> Bool { line.drop { $0 == " " }.hasPrefix("//") }

    /// Whether the comment above a declaration, or one at the top of its body, gives the reason.
    private func hasReason(at index: Int, in lines: [Substring]) -> Bool {
        let body = lines[index..<min(index + 5, lines.count)]
        if body.contains(where: { $0.contains("// SENDABLE:") }) { return true }
        for (steps, line) in lines[..<index].reversed().enumerated() {
            let text = line.drop { $0 == " " }
            if text.contains("SENDABLE:") { return true }
            // Up over the declaration's own first lines and attributes to its comment, and over all of that.
            let isDeclaration = text.hasPrefix("@") || text.hasSuffix(",") || text.hasSuffix("(") || steps == 0
            guard text.hasPrefix("//") || (isDeclaration && !text.isEmpty) else { return false }
        }
        return false
    }
}
