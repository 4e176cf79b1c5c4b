import Foundation
import Testing

extension EndToEnd {
    @Suite(.enabled(if: ["openssl", "curl", "redis-cli"].allSatisfy { Programs.installed($0) != nil }))
    struct `a cluster that is closed to others` {
        @Test func `serves its users over TLS, each its own keys, on every node and through every way in`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                // Nobody gets in without a name, in the clear, or with the wrong password.
                #expect(try cluster.redis(1, ["GET", "app/1"]).contains("NOAUTH"))
                #expect(try cluster.redis(1, user: name, password: "wrong-one", ["PING"]).contains("WRONGPASS"))
                #expect(try cluster.curl(1, [], "/v1/kv/app") == "401")
                #expect(try cluster.curl(2, ["-u", "\(name):wrong-one"], "/v1/kv/app") == "401")
                let clear = try Command.run("/usr/bin/curl", ["-s", "http://127.0.0.1:\(cluster.nodes[0].http)/livez"])
                #expect(clear.code != 0)

                // Health checks of containers find their way.
                let probe = ["--config", cluster.folder.file("n1.yaml").path, "--probe", "readyz"]
                #expect(try Command.run(Programs.kvnode, probe).code == 0)

                // A user is made through any node, and known on all.
                let added = try cluster.kvctl(
                    ["user", "add", "app", "--grant", "rw:app/", "--grant", "r:shared/"],
                    input: "app-password\n"
                )
                #expect(added.code == 0, "\(added.everything)")
                for node in cluster.nodes {
                    let isKnown = try Poll.until(10) {
                        try cluster.redis(node.id, user: "app", password: "app-password", ["PING"]) == "PONG"
                    }
                    #expect(isKnown)
                }
                for node in cluster.nodes {
                    let redis = { try cluster.redis(node.id, user: "app", password: "app-password", $0) }
                    #expect(try redis(["SET", "app/\(node.id)", "v"]) == "OK")
                    #expect(try redis(["SET", "other", "v"]).hasPrefix("NOPERM"))
                    #expect(try redis(["SET", "shared/x", "v"]).hasPrefix("NOPERM"))
                    #expect(try redis(["FLUSHALL"]).hasPrefix("NOPERM"))
                    #expect(try cluster.curl(node.id, ["-u", "app:app-password"], "/v1/kv/other") == "403")
                    #expect(try cluster.curl(node.id, ["-u", "app:app-password"], "/v1/kv/app%2F\(node.id)") == "200")
                    #expect(try cluster.curl(node.id, ["-u", "app:app-password"], "/admin/v1/users") == "403")
                }
                #expect(try cluster.redis(2, user: name, password: password, ["SET", "other", "secret"]) == "OK")
                let keys = try cluster.redis(3, user: "app", password: "app-password", ["KEYS", "*"])
                #expect(keys.split(separator: "\n").sorted() == ["app/1", "app/2", "app/3"])

                // kvctl, as the user and as nobody.
                let got = try cluster.kvctl(["get", "app/1"], user: ("app", "app-password"))
                #expect(got.code == 0 && got.text.contains("v"), "\(got.everything)")
                #expect(try cluster.kvctl(["get", "other"], user: ("app", "app-password")).code == 8)
                #expect(try cluster.kvctl(["user", "list"], user: ("app", "app-password")).code == 8)
                #expect(try cluster.kvctl(["get", "app/1"], user: ("app", "wrong-one")).code == 8)
                let listing = try cluster.kvctl(["user", "list"])
                #expect(
                    listing.code == 0 && listing.text.contains("app  rw:app/ r:shared/  password"),
                    "\(listing.everything)"
                )

                // Tokens, for both protocols.
                let token = try cluster.kvctl(["user", "token", "app"]).text.trimmingCharacters(in: .newlines)
                #expect(token.hasPrefix("kv1."))
                let isKnown = try Poll.until(10) {
                    try cluster.curl(1, ["-H", "Authorization: Bearer \(token)"], "/v1/kv/app%2F1") == "200"
                }
                #expect(isKnown)
                #expect(try cluster.redis(1, user: "app", password: token, ["GET", "app/1"]) == "v")

                // What is taken is gone.
                #expect(try cluster.kvctl(["user", "remove", "app"]).code == 0)
                let isGone = try Poll.until(10) {
                    try cluster.redis(3, user: "app", password: "app-password", ["PING"]).contains("WRONGPASS")
                }
                #expect(isGone)
                #expect(try cluster.curl(1, ["-H", "Authorization: Bearer \(token)"], "/v1/kv/app%2F1") == "401")
                // The changes are in a log that says who made them.
                let logs = cluster.nodes.map { cluster.log($0.id) }.joined()
                #expect(logs.contains("audit") && logs.contains("/admin/v1/users/app") && logs.contains("user=\(name)"))
                for secret in [password, "app-password", token] { #expect(!logs.contains(secret)) }
            }
        }

        @Test func `lets nobody in through the port for nodes who has no certificate of the authority`() throws {
            try SecureCluster.run { cluster in
                let peer = "127.0.0.1:\(cluster.nodes[0].peer)"
                // In the clear: the handshake of nodes is no TLS, and is answered by nothing but the end.
                let socket = try Socket(port: cluster.nodes[0].peer)
                try socket.send(Array("KVPEER\u{1}\u{0}".utf8) + Array(repeating: 0, count: 64))
                #expect(!String(decoding: try socket.readToEnd(), as: UTF8.self).contains("kv"))
                // TLS without a certificate: after the server's, ours is asked for.
                let bare = try Command.run(
                    "/usr/bin/openssl",
                    ["s_client", "-connect", peer, "-CAfile", cluster.authority, "-tls1_2"],
                    input: Array("x\n".utf8)
                )
                #expect(bare.code != 0, "\(bare.everything)")
            }
        }

        @Test func `takes renewed certificates over without a restart, and has a way back in`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                #expect(try cluster.kvctl(["put", "k", "v"]).code == 0)
                let before = try cluster.serial(ofPort: cluster.nodes[0].http)
                try cluster.renewCertificate(1)
                #expect(try Poll.until(10) { try cluster.serial(ofPort: cluster.nodes[0].http) != before })
                #expect(try cluster.redis(1, user: name, password: password, ["GET", "k"]) == "v")

                // The password is lost: a file on the nodes gives another.
                try Data("\(name):found-again\n".utf8).write(to: cluster.folder.file("way-back"))
                for node in cluster.nodes {
                    cluster.stop(node.id)
                    try cluster.start(node.id, ["--set", "auth.recovery_file=\(cluster.folder.file("way-back").path)"])
                }
                let isIn = try Poll.until(30) {
                    try cluster.redis(2, user: name, password: "found-again", ["GET", "k"]) == "v"
                }
                #expect(isIn)
                #expect(try cluster.redis(2, user: name, password: password, ["PING"]).contains("WRONGPASS"))
            }
        }
    }
}
