import Foundation
import Testing

@Suite struct `documents` {
    private static func text(_ path: String) throws -> String {
        try String(contentsOf: SourceTree.root.appending(path: path), encoding: .utf8)
    }

    /// The README and every page under docs.
    private static func pages() throws -> [String] {
        try ["README.md"] + SourceTree.paths(in: "docs").filter { $0.hasSuffix(".md") }
    }

    @Test func `every relative link leads to a file`() throws {
        var broken: [String] = []
        for page in try Self.pages() {
            let folder = SourceTree.root.appending(path: page).deletingLastPathComponent()
            for link in try Self.text(page).matches(of: #/\]\(([^)#\s]+)[^)]*\)/#).map(\.output.1)
            where !link.contains("://") {
                let target = folder.appending(path: String(link)).standardizedFileURL.path
                if !FileManager.default.fileExists(atPath: target) { broken.append("\(page): \(link)") }
            }
        }
        #expect(broken == [])
    }

    @Test func `every command of make and every script that is named exists`() throws {
        let rules = try Self.text("Makefile").split(separator: "\n").compactMap { line in
            line.firstMatch(of: #/^([a-z][a-z-]*):/#).map { String($0.output.1) }
        }
        var missing: [String] = []
        for page in try Self.pages() {
            let text = try Self.text(page)
            for name in text.matches(of: #/(?:`|\n)make ([a-z][a-z-]*)/#).map({ String($0.output.1) })
            where !rules.contains(name) {
                missing.append("\(page): make \(name)")
            }
            for path in text.matches(of: #/\bscripts/[a-z-]+/#).map({ String($0.output) }) {
                let file = SourceTree.root.appending(path: path).path
                if !FileManager.default.isExecutableFile(atPath: file) { missing.append("\(page): \(path)") }
            }
        }
        #expect(missing == [])
    }

    @Test func `every row of the threat model names tests that are there`() throws {
        let files = Set(
            try SourceTree.swiftFiles(in: "Tests").map {
                String(($0.path.split(separator: "/").last ?? "").dropLast(".swift".count))
            }
        )
        let targets = Set(try SourceTree.modules(in: "Tests"))
        var wrong: [String] = []
        var rows = 0
        for line in try Self.text("docs/threat-model.md").split(separator: "\n") where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 3, cells[0] != "attack" else { continue }
            rows += 1
            let tests = cells[2].matches(of: #/`([A-Za-z]+)`/#).map { String($0.output.1) }
            if tests.isEmpty || tests.contains(where: { !files.contains($0) && !targets.contains($0) }) {
                wrong.append(cells[0])
            }
        }
        #expect(wrong == [])
        #expect(rows > 30)
    }

    @Test func `the page on architecture names every module`() throws {
        let text = try Self.text("docs/architecture.md")
        #expect(try SourceTree.modules(in: "Sources").filter { !text.contains("`\($0)`") } == [])
    }
}
