import ArgumentParser
import Foundation
import KVClient

struct ShellCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shell",
        abstract: "Type commands one after the other, over one connection; with history and completion.",
        discussion: """
            Commands are those of kvctl without its name; quotes and backslashes as in other shells. 'exit' or Ctrl-D ends it. Where \
            standard input is no terminal its lines are run as they come, and the exit code is that of the last command that failed.
            """
    )
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        var last = CtlExit.ok.rawValue
        try await global.perform { session in
            last = try await Session.$inherited.withValue(session) { try await Shell(session: session).run() }
            return .ok
        }
        if last != CtlExit.ok.rawValue { throw ExitCode(last) }
    }
}

/// Reads lines and runs them as commands until the end.
private struct Shell {
    let session: Session

    /// - Returns: the exit code of the last command that failed; 0 where none did.
    func run() async throws -> Int32 {
        let completion = ShellCompletion()
        let isInteractive = isatty(STDIN_FILENO) == 1 && isTerminal
        var editor = LineEditor(history: ShellHistory()) { completion.candidates(for: $0) }
        if isInteractive {
            let names = session.endpoints.map(\.description).joined(separator: ", ")
            write("kvctl, at \(names); 'help' lists the commands, Ctrl-D ends\n")
        }
        var failed = CtlExit.ok.rawValue
        while true {
            let line: String
            if isInteractive {
                switch editor.read(prompt: "kv> ") {
                case .line(let typed): line = typed
                case .interrupted: continue
                case .end: return CtlExit.ok.rawValue
                }
            } else {
                guard let next = readLine() else { return failed }
                line = next
            }
            let words: [String]
            do throws(ShellWords.Fault) {
                words = try ShellWords.split(line)
            } catch {
                write("kvctl: \(error.text)\n", to: .standardError)
                failed = CtlExit.usage.rawValue
                continue
            }
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            if first == "exit" || first == "quit" { return isInteractive ? CtlExit.ok.rawValue : failed }
            let code = await run(words)
            if code != CtlExit.ok.rawValue { failed = code }
        }
    }

    private func run(_ words: [String]) async -> Int32 {
        guard words[0] != "shell" else {
            write("kvctl: this is a shell already\n", to: .standardError)
            return CtlExit.usage.rawValue
        }
        do {
            var command = try KVCtl.parseAsRoot(words)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return CtlExit.ok.rawValue
        } catch {
            if let code = error as? ExitCode { return code.rawValue }
            let code = KVCtl.exitCode(for: error)
            let text = KVCtl.fullMessage(for: error)
            if !text.isEmpty { write(text + "\n", to: code == .success ? .standardOutput : .standardError) }
            return code == .success ? 0 : code == .validationFailure ? CtlExit.usage.rawValue : CtlExit.error.rawValue
        }
    }
}

/// Takes a line apart as shells do: quotes, backslashes, blanks between words.
enum ShellWords {
    struct Fault: Error, Equatable {
        let text: String
    }

    static func split(_ line: String) throws(Fault) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in line {
            if isEscaped {
                // Within double quotes a backslash stands for itself but before what it is needed for.
                if quote == "\"", character != "\"", character != "\\" { word = (word ?? "") + "\\" }
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { throw Fault(text: "a quote is not closed, or a backslash ends the line") }
        if let word { words.append(word) }
        return words
    }
}

/// What may come next in a line: the commands' own description says.
struct ShellCompletion {
    /// A command as ArgumentParser describes it.
    private struct Command: Decodable {
        struct Argument: Decodable {
            struct Name: Decodable {
                let kind: String
                let name: String
            }
            let names: [Name]?
            let allValues: [String]?
        }
        let commandName: String
        let subcommands: [Command]?
        let arguments: [Argument]?

        /// Every option with its dashes.
        var options: [String] {
            (arguments ?? []).flatMap { $0.names ?? [] }.filter { $0.kind == "long" }.map { "--\($0.name)" }
        }

        /// What an option takes, where that is a choice.
        func values(of option: String) -> [String] {
            (arguments ?? []).first {
                ($0.names ?? []).contains { "--\($0.name)" == option || "-\($0.name)" == option }
            }?
            .allValues ?? []
        }
    }

    private struct Tool: Decodable {
        let command: Command
    }

    private let root: Command?

    init() {
        // Without a description nothing is completed.
        root = try? JSONDecoder().decode(Tool.self, from: Data(KVCtl._dumpHelp().utf8)).command
    }

    /// What the last word of a line may become.
    func candidates(for line: String) -> [String] {
        guard var command = root else { return [] }
        var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let last = words.popLast() ?? ""
        let before = words.filter { !$0.isEmpty }
        for word in before {
            if let next = command.subcommands?.first(where: { $0.commandName == word }) { command = next }
        }
        if let option = before.last, option.hasPrefix("-") {
            let values = command.values(of: option)
            if !values.isEmpty { return values.filter { $0.hasPrefix(last) } }
        }
        let names = last.hasPrefix("-") ? command.options : (command.subcommands ?? []).map(\.commandName)
        let more = before.isEmpty && !last.hasPrefix("-") ? ["exit"] : []
        return Set(names + more).filter { $0.hasPrefix(last) && $0 != "shell" }.sorted()
    }
}

/// The lines of earlier shells, in a file that only its owner may read.
///
/// A line that begins with a blank is not kept, as in other shells.
struct ShellHistory {
    private static let linesMax = 1_000
    private let path: String?
    private(set) var lines: [String]

    init() {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"].map { "\($0)/.kvctl_history" }
        path = environment["KVCTL_HISTORY"] ?? home
        // None yet, or none that can be read: it begins empty.
        let text = path.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) } ?? ""
        lines = text.split(separator: "\n").suffix(Self.linesMax).map(String.init)
    }

    /// For tests: these lines, kept nowhere.
    init(lines: [String]) {
        path = nil
        self.lines = lines
    }

    mutating func add(_ line: String) {
        guard !line.hasPrefix(" "), !line.isEmpty, line != lines.last else { return }
        lines.append(line)
        if lines.count > Self.linesMax { lines.removeFirst(lines.count - Self.linesMax) }
        guard let path else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { return }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        // History is a convenience: one that cannot be kept is no failure of the command.
        try? handle.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
    }
}
