import Foundation
import Testing

extension EndToEnd.`the offline tools` {
    /// What a tool is asked, and what it has to answer.
    struct Question: CustomStringConvertible {
        let tool: String
        /// `D` stands for the data directory, `T` for a tablet, `S` for a table, `L` for a segment, `N` for a new directory.
        let words: String
        let code: Int32
        /// What the output has somewhere.
        var has = ""

        var description: String { "\(tool) \(words)" }
    }

    static let questions: [Question] = [
        Question(tool: "sstdump", words: "D", code: 0, has: "applied index"),
        Question(tool: "sstdump", words: "D verify", code: 0, has: "every byte was read"),
        Question(tool: "sstdump", words: "summary T -o json", code: 0, has: "\"closed\":true"),
        Question(tool: "sstdump", words: "properties S", code: 0, has: "entries"),
        Question(tool: "sstdump", words: "blocks S", code: 0, has: "data block 0"),
        Question(tool: "sstdump", words: "entries T --limit 3 --key-format hex", code: 0, has: "@"),
        Question(
            tool: "sstdump",
            words: "entries T --from key-1 --to key-2 --values -o json",
            code: 0,
            has: "\"key\":"
        ),
        Question(tool: "sstdump", words: "get D key-11", code: 0, has: "sstdump find"),
        Question(tool: "sstdump", words: "get D no\\x00such", code: 0, has: "is absent"),
        Question(tool: "sstdump", words: "find D key-11", code: 0, has: "put key-11"),
        Question(tool: "sstdump", words: "manifest T", code: 0, has: "whole state"),
        Question(tool: "sstdump", words: "stats D", code: 0, has: "filterFalsePositives"),
        Question(tool: "sstdump", words: "salvage T --into N", code: 0, has: "keys are in"),
        Question(tool: "sstdump", words: "salvage T --into D", code: 1, has: "not empty"),
        Question(tool: "sstdump", words: "", code: 2),
        Question(tool: "sstdump", words: "get D", code: 2),
        Question(tool: "sstdump", words: "entries T --limit x", code: 2),
        Question(tool: "sstdump", words: "entries T --from \\xq0", code: 2),
        Question(tool: "sstdump", words: "verify D/none", code: 1, has: "UNREADABLE"),
        Question(tool: "sstdump", words: "verify D/log", code: 1, has: "no tablet"),
        Question(tool: "sstdump", words: "verify L", code: 9, has: "DAMAGED"),
        Question(tool: "walreplay", words: "D", code: 0, has: "closed"),
        Question(tool: "walreplay", words: "D verify", code: 0, has: "every byte was read"),
        Question(tool: "walreplay", words: "verify L T/CURRENT -o json", code: 9, has: "\"verdict\":\"damaged\""),
        Question(tool: "walreplay", words: "records L --group 1 --from 5 --to 6 --values", code: 0, has: "  5 term"),
        Question(tool: "walreplay", words: "records D --type raft-state -o json", code: 0, has: "\"commit\":"),
        Question(tool: "walreplay", words: "records D --type none", code: 2),
        Question(tool: "walreplay", words: "state D", code: 0, has: "lastTerm"),
        Question(tool: "walreplay", words: "export D --group 1", code: 0, has: "\"operation\":\"put\""),
        Question(tool: "walreplay", words: "truncate D/log --at 86", code: 0, has: "nothing was written"),
        Question(tool: "walreplay", words: "truncate D/log --at 87", code: 2, has: "not between two records"),
        Question(tool: "walreplay", words: "salvage D/log --into N", code: 0, has: "none missing"),
        Question(tool: "walreplay", words: "replay D --into N --until 1", code: 2),
        Question(tool: "walreplay", words: "replay D --into N --until tomorrow", code: 2),
        Question(tool: "walreplay", words: "replay D --into D/log", code: 1, has: "not empty"),
        Question(tool: "walreplay", words: "verify D/groups/1", code: 1, has: "no log segments"),
        Question(tool: "walreplay", words: "verify S", code: 9, has: "DAMAGED"),
    ]

    @Test func `answer every question about a stopped node with the right code, and change nothing`() throws {
        try TestCluster.run(nodes: 1, settings: Self.settings) { cluster in
            try Self.fill(cluster, keys: 1_500)
            #expect(try RESPConnection(port: cluster.nodes[0].resp).ask("SET", "key-11", "eleven") == .ok)
            try cluster.script("stop")
            let data = cluster.nodes[0].data
            let places = try Self.places(data)
            let before = try Self.contents(data)
            for (number, question) in Self.questions.enumerated() {
                let new = cluster.folder.file("new-\(number)").path
                let run = try Self.ask(question, places, new)
                #expect(run.code == question.code, "\(question): \(run.everything)")
                let isSaid = question.has.isEmpty || (run.text + run.errors).contains(question.has)
                #expect(isSaid, "\(question): \(run.everything)")
                if question.words.contains("-o json") {
                    for line in run.text.split(separator: "\n") { _ = try Self.object(line) }
                }
            }
            #expect(try Self.contents(data) == before, "a tool changed what it looked at")
        }
    }

    /// What may be wrong with a file, by what is done to it.
    static let damages: [(name: String, make: @Sendable (inout Data) -> Void)] = [
        ("empty", { $0 = Data() }),
        ("cut", { $0 = $0.prefix($0.count * 2 / 3) }),
        ("zeros", { $0 = Data(count: $0.count) }),
        ("another file", { _ in }),
        ("longer", { $0 += Data("what does not belong here".utf8) }),
    ]

    @Test func `name a file that is empty, cut, overwritten, exchanged or grown, and end by themselves`() throws {
        try TestCluster.run(nodes: 1, settings: Self.settings) { cluster in
            try Self.fill(cluster, keys: 1_500)
            try cluster.script("stop")
            let data = cluster.nodes[0].data
            let places = try Self.places(data)
            let other = Data((0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
            let commands = [
                ("sstdump", "summary D"), ("sstdump", "entries D --values"), ("sstdump", "find D key-11"),
                ("walreplay", "records D --values"), ("walreplay", "export D"), ("walreplay", "replay D --into N"),
            ]
            var number = 0
            for word in ["S", "L", "M", "T/CURRENT", "D/groups/1/MANIFEST", "D/node.yaml"] {
                let file = Self.fill(word, places, "")
                let whole = try Data(contentsOf: URL(filePath: file))
                for damage in Self.damages {
                    var changed = whole
                    damage.make(&changed)
                    if changed == whole { changed = other }
                    try changed.write(to: URL(filePath: file))
                    defer { try? whole.write(to: URL(filePath: file)) }
                    let verify = try Command.run(Programs.walreplay, ["verify", data])
                    // Of a log of one file that is cut nothing tells that there was more: it looks as after a crash.
                    let looksTorn = damage.name == "cut" && file.contains("MANIFEST")
                    #expect(verify.code == 9 || looksTorn, "\(damage.name) \(file): \(verify.everything)")
                    #expect(verify.text.contains(file), "\(damage.name) \(file): \(verify.everything)")
                    // Whatever another command can still say, it ends with a code that it knows.
                    let (tool, words) = commands[number % commands.count]
                    number += 1
                    let new = cluster.folder.file("new-\(number)").path
                    let run = try Self.ask(Question(tool: tool, words: words, code: 0), places, new)
                    #expect([0, 1, 9].contains(run.code), "\(damage.name) \(file), \(words): \(run.everything)")
                }
            }
        }
    }

    // MARK: Support

    /// The paths that the letters stand for.
    static func places(_ data: String) throws -> [String: String] {
        let group = data + "/groups/1"
        let names = try FileManager.default.contentsOfDirectory(atPath: group).sorted()
        // A tablet that has a table.
        let tables = names.compactMap { name -> (String, String)? in
            let files = (try? FileManager.default.contentsOfDirectory(atPath: group + "/" + name)) ?? []
            return files.first { $0.hasSuffix(".sst") }.map { (group + "/" + name, $0) }
        }
        let (tablet, table) = try #require(tables.first)
        let files = try FileManager.default.contentsOfDirectory(atPath: tablet)
        let manifest = try #require(files.first { $0.hasPrefix("MANIFEST-") })
        let segments = try FileManager.default.contentsOfDirectory(atPath: data + "/log").sorted()
        let segment = try #require(segments.first)
        return [
            "D": data, "T": tablet, "S": tablet + "/" + table, "M": tablet + "/" + manifest,
            "L": data + "/log/" + segment,
        ]
    }

    static func fill(_ word: String, _ places: [String: String], _ new: String) -> String {
        let (letter, rest) = (String(word.prefix(1)), word.dropFirst())
        guard rest.isEmpty || rest.hasPrefix("/") else { return word }
        return letter == "N" ? new : places[letter].map { $0 + rest } ?? word
    }

    static func ask(_ question: Question, _ places: [String: String], _ new: String) throws -> Command {
        let words = question.words.split(separator: " ").map { fill(String($0), places, new) }
        return try Command.run(question.tool == "sstdump" ? Programs.sstdump : Programs.walreplay, words)
    }

    /// Every file below a folder.
    static func contents(_ folder: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        let names = FileManager.default.enumerator(atPath: folder)
        while let name = names?.nextObject() as? String {
            // A directory has no bytes; the ballast's say nothing.
            guard name != "room", let bytes = FileManager.default.contents(atPath: folder + "/" + name) else {
                continue
            }
            found[name] = bytes
        }
        return found
    }
}
