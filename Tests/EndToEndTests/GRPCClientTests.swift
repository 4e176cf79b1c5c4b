import Foundation
import Testing

extension EndToEnd {
    /// Clients of others for gRPC, and those that mean harm, against real processes.
    @Suite struct `grpc clients` {
        private static func script(_ name: String) -> String {
            Programs.root.appending(path: "scripts/lib/\(name)").path
        }

        @Test(.enabled(if: ForeignClients.hasGRPC, "no .build/python with grpcio; scripts/python-environment makes it"))
        func `Python's grpcio gets what its transcript says`() throws {
            let python = try #require(ForeignClients.python)
            try TestCluster.run { cluster in
                let ports = try [1, 2].map { "\(try cluster.node($0).grpc)" }
                let command = try Command.run(python, [Self.script("grpcio_transcript.py")] + ports, within: 180)
                try #require(command.code == 0, "\(command.everything)")
                try Transcript.expect(command.text, isAs: "grpcio.txt")
            }
        }

        @Test(
            .enabled(
                if: ForeignClients.hasGRPC && Programs.installed("openssl") != nil && Programs.installed("curl") != nil,
                "no .build/python with grpcio, openssl or curl"
            )
        )
        func `a closed cluster is closed over gRPC, and its renewed certificates are taken over`() throws {
            let python = try #require(ForeignClients.python)
            try SecureCluster.run { cluster in
                let added = try cluster.kvctl(["user", "add", "app", "--grant", "rw:app/"], input: "app-password\n")
                #expect(added.code == 0, "\(added.everything)")
                let token = try cluster.kvctl(["user", "token", "app"]).text.trimmingCharacters(in: .newlines)
                for node in cluster.nodes {
                    let arguments = ["\(node.grpc)", cluster.authority, "app", "app-password", token]
                    var last = ""
                    // A node that has not heard of the user yet is asked again.
                    let isClosed = try Poll.until(20) {
                        let command = try Command.run(
                            python,
                            [Self.script("grpcio_secure.py")] + arguments,
                            within: 120
                        )
                        last = command.everything
                        return command.code == 0
                    }
                    #expect(isClosed, "node \(node.id): \(last)")
                }
                let before = try cluster.serial(ofPort: cluster.nodes[0].grpc)
                try cluster.renewCertificate(1)
                #expect(try Poll.until(10) { try cluster.serial(ofPort: cluster.nodes[0].grpc) != before })
                let arguments = ["\(cluster.nodes[0].grpc)", cluster.authority, "app", "app-password", token]
                let after = try Command.run(python, [Self.script("grpcio_secure.py")] + arguments, within: 120)
                #expect(after.code == 0, "\(after.everything)")
                let logs = cluster.nodes.map { cluster.log($0.id) }.joined()
                for secret in ["app-password", token] { #expect(!logs.contains(secret)) }
            }
        }

        @Test(.enabled(if: ForeignClients.systemPython != nil, "python3 is not installed"))
        func `a node withstands what nobody should send`() throws {
            let python = try #require(ForeignClients.systemPython)
            let settings = [
                "grpc.idle_timeout=1500ms", "grpc.message_timeout=1s", "grpc.write_timeout=1s", "grpc.calls=128",
            ]
            try TestCluster.run(nodes: 1, settings: settings) { cluster in
                let node = try cluster.node(1)
                let ports = ["\(node.grpc)", "\(node.http)"]
                let command = try Command.run(python, [Self.script("grpc_hostile.py")] + ports, within: 180)
                #expect(command.code == 0, "\(command.everything)")
                #expect(command.text.split(separator: "\n").count == 19, "\(command.text)")
            }
        }

        @Test(.enabled(if: ForeignClients.hasGRPC, "no .build/python with grpcio; scripts/python-environment makes it"))
        func `calls go on while the leader dies, and what was answered is there`() throws {
            let python = try #require(ForeignClients.python)
            try TestCluster.run { cluster in
                let ports = cluster.nodes.map { "\($0.grpc)" }
                let writer = Process()
                writer.executableURL = URL(filePath: python)
                writer.arguments = [Self.script("grpcio_failover.py")] + ports
                let output = Pipe()
                writer.standardOutput = output
                try writer.run()
                // Its first line says that it writes.
                #expect(try output.fileHandleForReading.read(upToCount: 8) == Data("writing\n".utf8))
                _ = try cluster.killLeader()
                writer.waitUntilExit()
                let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
                #expect(writer.terminationStatus == 0, "\(text)")
                #expect(text.hasSuffix("nothing is lost\n"), "\(text)")
            }
        }
    }
}
