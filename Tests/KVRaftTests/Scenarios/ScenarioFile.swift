import Foundation

/// A scenario as text: commands, each with what it is expected to print.
///
///     # a comment
///     command argument key=value key=(a,b,c)
///     optional lines of input
///     ----
///     the expected output, up to the first blank line
struct ScenarioFile {
    struct Block {
        let line: Int
        let command: String
        let arguments: [Argument]
        let input: [String]
        let expected: [String]

        func values(_ key: String) -> [String]? { arguments.first { $0.key == key }?.values }
        func value(_ key: String) -> String? { values(key)?.first }
        func flag(_ key: String) -> Bool { value(key) == "true" }
        /// The arguments that have no value.
        var words: [String] { arguments.filter { $0.values.isEmpty }.map(\.key) }
    }

    struct Argument {
        let key: String
        let values: [String]
    }

    let name: String
    let blocks: [Block]

    init(_ url: URL) throws {
        self.init(name: url.lastPathComponent, text: try String(contentsOf: url, encoding: .utf8))
    }

    init(name: String, text: String) {
        self.name = name
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var blocks: [Block] = []
        var place = 0
        while place < lines.count {
            let line = lines[place].trimmingCharacters(in: .whitespaces)
            place += 1
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let start = place
            var input: [String] = []
            while place < lines.count, lines[place] != "----" {
                input.append(lines[place])
                place += 1
            }
            place += 1
            var expected: [String] = []
            while place < lines.count, !lines[place].trimmingCharacters(in: .whitespaces).isEmpty {
                expected.append(lines[place])
                place += 1
            }
            let parts = Self.split(line)
            blocks.append(
                Block(
                    line: start,
                    command: parts.first ?? "",
                    arguments: parts.dropFirst().map(Self.argument),
                    input: input,
                    expected: expected
                )
            )
        }
        self.blocks = blocks
    }

    /// Words, where blanks between parentheses separate nothing.
    private static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word = ""
        var depth = 0
        for character in line {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == " ", depth == 0 {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    private static func argument(_ word: String) -> Argument {
        guard let equals = word.firstIndex(of: "=") else { return Argument(key: word, values: []) }
        var value = String(word[word.index(after: equals)...])
        if value.hasPrefix("("), value.hasSuffix(")") { value = String(value.dropFirst().dropLast()) }
        let values = value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        return Argument(key: String(word[..<equals]), values: values)
    }
}

/// A block whose output is not what was expected.
struct ScenarioDifference: CustomStringConvertible {
    let file: String
    let line: Int
    let command: String
    let expected: [String]
    let actual: [String]

    var description: String {
        (["\(file):\(line): \(command)", "expected:"] + expected + ["actual:"] + actual).joined(separator: "\n")
    }
}

/// Which kind of scenario a file holds, told by its commands.
enum ScenarioKind {
    case quorum
    case membership
    case interaction

    init(_ file: ScenarioFile) {
        let commands = Set(file.blocks.map(\.command))
        if commands.isSubset(of: ["committed", "vote"]) {
            self = .quorum
        } else if commands.isSubset(of: ["simple", "enter-joint", "leave-joint"]) {
            self = .membership
        } else {
            self = .interaction
        }
    }
}

/// Runs files and folders of scenarios.
enum ScenarioRunner {
    static func run(_ file: ScenarioFile) -> [ScenarioDifference] {
        var differences: [ScenarioDifference] = []
        var membership = MembershipScenario()
        let interaction = InteractionScenario()
        let kind = ScenarioKind(file)
        for block in file.blocks {
            let pair: (expected: [String], actual: [String])
            switch kind {
            case .quorum: pair = (block.expected, QuorumScenario.run(block))
            case .membership: pair = (block.expected, membership.run(block))
            case .interaction: pair = interaction.run(block)
            }
            if pair.expected != pair.actual {
                differences.append(
                    ScenarioDifference(
                        file: file.name,
                        line: block.line,
                        command: block.command,
                        expected: pair.expected,
                        actual: pair.actual
                    )
                )
            }
        }
        return differences
    }

    /// The scenario files of a folder and the folders in it, by name.
    static func files(in folder: URL) -> [URL] {
        guard let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) else { return [] }
        return all.compactMap { $0 as? URL }.filter { $0.pathExtension == "txt" }.sorted { $0.path < $1.path }
    }
}
