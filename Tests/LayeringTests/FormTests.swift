import Foundation
import Testing

@Suite struct `form` {
    /// Files that are longer for a reason; the number is what they may have.
    static let longFiles: [String: Int] = [:]

    @Test func `no file is longer than 600 lines`() throws {
        for file in try SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests")
        where !file.isGenerated {
            let bound = Self.longFiles[file.path] ?? 600
            #expect(
                file.lines.count <= bound,
                "\(file.path) has \(file.lines.count) lines; a second idea may want its own file"
            )
        }
    }

    @Test func `no code ends the process in place of an error`() throws {
        // Written in two parts so that this file does not find itself.
        let forbidden = [
            ("try" + "!", "throw, or prove with a precondition"),
            ("fatal" + "Error(", "throw, or use preconditionFailure"),
            ("as" + "! ", "cast with `as?`"), ("Task." + "detached", "use a task group or a service"),
        ]
        for file in try SourceTree.swiftFiles(in: "Sources") where !file.isGenerated {
            for (index, line) in file.lines.enumerated() where !isComment(line) {
                for (mark, instead) in forbidden {
                    #expect(!line.contains(mark), "\(file.path):\(index + 1) has \(mark); \(instead)")
                }
            }
        }
    }

    @Test func `no unfinished work is marked without an issue`() throws {
        for file in try SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests") {
            for (index, line) in file.lines.enumerated() {
                #expect(!line.contains("FIX" + "ME"), "\(file.path):\(index + 1): finish it, or open an issue")
                guard let mark = line.range(of: "TO" + "DO") else { continue }
                let rest = line[mark.upperBound...]
                #expect(
                    rest.hasPrefix("(#") && rest.dropFirst(2).first?.isNumber == true,
                    "\(file.path):\(index + 1): write TO\("DO")(#123): with the number of an issue"
                )
            }
        }
    }

    @Test func `what the compiler does not check says why it is safe`() throws {
        for file in try SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests")
        where !file.isGenerated {
            guard file.module != "LayeringTests" else { continue }
            for (index, line) in file.lines.enumerated() where !isComment(line) {
                guard line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") else { continue }
                #expect(
                    hasReason(before: index, in: file.lines),
                    "\(file.path):\(index + 1): put a comment with SENDABLE: and the reason above it"
                )
            }
        }
    }

    @Test func `no file name has a space`() throws {
        for folder in ["Sources", "Tests"] {
            #expect(try SourceTree.paths(in: folder).filter { $0.contains(" ") } == [])
        }
    }

    @Test func `every test folder belongs to a target of the manifest`() throws {
        let manifest = try String(contentsOf: SourceTree.root.appending(path: "Package.swift"), encoding: .utf8)
        for folder in try SourceTree.modules(in: "Tests") + SourceTree.modules(in: "Sources") {
            #expect(manifest.contains("\"\(folder)\""), "\(folder) is in no target, so nothing in it is built")
        }
    }

    private func isComment(_ line: Substring) -> Bool { line.drop { $0 == " " }.hasPrefix("//") }

    /// Whether the comment above a declaration, or a line of comment just above it, gives the reason.
    private func hasReason(before index: Int, in lines: [Substring]) -> Bool {
        if lines[index].contains("// SENDABLE:") { return true }
        var above = index - 1
        // Up over the declaration's own first lines and attributes to its comment, and over all of that.
        var steps = 0
        while above >= 0, steps < 40 {
            let line = lines[above].drop { $0 == " " }
            if line.hasPrefix("//") {
                if line.contains("SENDABLE:") { return true }
            } else if line.isEmpty || !(line.hasPrefix("@") || line.hasSuffix(",") || line.hasSuffix("(") || steps == 0)
            {
                return false
            }
            above -= 1
            steps += 1
        }
        return false
    }
}
