import Foundation
import Testing

extension EndToEnd {
    @Suite struct `backups of a cluster` {
        @Test func `a cluster is saved and restored under a new identity, as it was saved and to a later point`()
            throws
        {
            let repository = try TemporaryFolder()
            defer { repository.remove() }
            let backup = repository.file("r/one").path
            var afterSave = ""
            var afterLog = ""
            try TestCluster.run { cluster in
                try put(cluster, 0..<300)
                try succeed(cluster.kvctl("snapshot", "save", repository.file("r").path, "--name", "one"))
                afterSave = try export(cluster)
                try put(cluster, 200..<500)
                let second = try succeed(cluster.kvctl("snapshot", "save", repository.file("r").path, "--name", "two"))
                #expect(second.text.contains("shared with an earlier backup"))
                try succeed(cluster.kvctl("snapshot", "save", repository.file("r").path, "--name", "fenced", "--fence"))
                try put(cluster, 600..<650)
                try succeed(cluster.kvctl("snapshot", "log", backup))
                afterLog = try export(cluster)
                #expect(afterLog != afterSave)
                for name in ["one", "two", "fenced"] {
                    try succeed(cluster.kvctl("snapshot", "verify", repository.file("r/\(name)").path))
                }
                #expect(try succeed(cluster.kvctl("snapshot", "inspect", backup)).text.contains("log through index"))
                let list = try succeed(cluster.kvctl("snapshot", "list", repository.file("r").path))
                #expect(list.text.split(separator: "\n").count == 3)
            }
            for (until, expected) in [(nil, afterSave), ("end", afterLog)] as [(String?, String)] {
                try TestCluster.run { cluster in
                    try restore(backup, into: cluster, repository, until)
                    try cluster.script("start")
                    #expect(try export(cluster) == expected)
                    let digest = try succeed(cluster.kvctl("digest"))
                    #expect(digest.text.contains("equal"))
                    try put(cluster, 700..<720)
                    #expect(try export(cluster) != expected)
                }
            }
        }

        @Test func `a damaged or unfinished backup and a directory in use are refused`() throws {
            let repository = try TemporaryFolder()
            defer { repository.remove() }
            try TestCluster.run(nodes: 1) { cluster in
                try put(cluster, 0..<50)
                try succeed(cluster.kvctl("snapshot", "save", repository.file("r").path, "--name", "one"))
                let parent = try cluster.kvctl("snapshot", "verify", repository.file("r").path)
                #expect(
                    parent.code == 1 && parent.errors.contains("name one of them, as \(repository.file("r/one").path)")
                )
                let again = try cluster.kvctl("snapshot", "save", repository.file("r").path, "--name", "one")
                #expect(again.code == 1 && again.errors.contains("is there already"))
                let node = try cluster.node(1)
                let backup = repository.file("r/one")
                let plan = repository.file("plan.yaml")
                let made = try succeed(cluster.kvctl("snapshot", "plan", "1=127.0.0.1:\(node.peer)=\(node.data)"))
                try Data(made.output).write(to: plan)
                let occupied = try cluster.kvctl("snapshot", "restore", backup.path, "--plan", plan.path)
                #expect(occupied.code == 1 && occupied.errors.contains("not empty"))
                let manifest = backup.appending(path: "manifest.json")
                let text = try String(contentsOf: manifest, encoding: .utf8)
                try Data(text.replacingOccurrences(of: "\"term\":", with: "\"tern\":").utf8).write(to: manifest)
                #expect(try cluster.kvctl("snapshot", "verify", backup.path).code == 9)
                try FileManager.default.removeItem(at: manifest)
                let unfinished = try cluster.kvctl("snapshot", "restore", backup.path, "--plan", plan.path)
                #expect(unfinished.code == 1 && unfinished.errors.contains("never completed"))
            }
        }

        private func put(_ cluster: TestCluster, _ range: Range<Int>) throws {
            let port = try cluster.node(cluster.nodes[0].id).resp
            let connection = try RESPConnection(port: port)
            for number in range {
                let value = String(repeating: "v\(number) ", count: 40)
                let answer = try connection.ask(["SET", "key\(number)", value].map { Array($0.utf8) })
                guard case .error(let text) = answer else { continue }
                Issue.record("SET key\(number): \(text)")
            }
        }

        /// Every key with its value.
        private func export(_ cluster: TestCluster) throws -> String {
            let file = cluster.folder.file("export-\(UUID().uuidString)").path
            try succeed(cluster.kvctl("export", file))
            return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").sorted().joined(
                separator: "\n"
            )
        }

        private func restore(
            _ backup: String,
            into cluster: TestCluster,
            _ folder: TemporaryFolder,
            _ until: String?
        ) throws {
            cluster.killAll()
            let members = cluster.nodes.map { "\($0.id)=127.0.0.1:\($0.peer)=\($0.data)" }
            for node in cluster.nodes { try FileManager.default.removeItem(atPath: node.data) }
            let plan = folder.file("plan-\(UUID().uuidString).yaml")
            try Data(try succeed(Command.run(Programs.kvctl, ["snapshot", "plan"] + members)).output).write(to: plan)
            let point = until.map { ["--until", $0] } ?? []
            try succeed(Command.run(Programs.kvctl, ["snapshot", "restore", backup, "--plan", plan.path] + point))
        }

        @discardableResult
        private func succeed(_ command: Command) throws -> Command {
            try #require(command.code == 0, "\(command.everything)")
            return command
        }
    }
}
