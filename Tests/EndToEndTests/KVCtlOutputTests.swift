import Foundation
import Testing

extension EndToEnd {
    /// Every command's output, byte for byte, for nodes that answer the same every time: Tests/Fixtures/kvctl.txt.
    ///
    /// KV_WRITE_FIXTURES=1 writes the file anew; read the difference before it is committed.
    @Suite struct `what kvctl prints` {
        private static let file = Programs.root.appending(path: "Tests/Fixtures/kvctl.txt")

        @Test func `is as the fixture has it, with its exit code`() throws {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let nodes = try [1, 2].map { try FakeNode(pages: Script.pages(node: $0), words: Script.words) }
            defer { for node in nodes { node.stop() } }
            let dead = try TakenPort.free(1)[0]
            var names: [(String, String)] = []
            for (place, node) in nodes.enumerated() {
                names.append(("127.0.0.1:\(node.http)", "kv\(place + 1):8080"))
                names.append(("127.0.0.1:\(node.resp)", "kv\(place + 1):6400"))
                names.append(("127.0.0.1_\(node.http)", "kv\(place + 1)_8080"))
            }
            names += [("127.0.0.1:\(dead)", "down:8080"), (folder.url.path, "FOLDER")]
            for (name, text) in Script.files { try Data(text.utf8).write(to: folder.file(name)) }
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600],
                ofItemAtPath: folder.file("contexts.json").path
            )

            var environment = [
                "KVCTL_ENDPOINTS": nodes.map { "127.0.0.1:\($0.resp)" }.joined(separator: ","),
                "KVCTL_HTTP_ENDPOINTS": nodes.map { "127.0.0.1:\($0.http)" }.joined(separator: ","),
                "KVCTL_CONFIG": folder.file("none.json").path, "HOME": folder.url.path, "COLUMNS": "130",
            ]
            var text = ""
            for line in Script.commands {
                let (command, input) = line
                environment["KVCTL_CONFIG"] =
                    folder.file(command.hasPrefix("context") ? "contexts.json" : "none.json").path
                let words = command.replacing("DOWN", with: "127.0.0.1:\(dead)").replacing(
                    "FOLDER",
                    with: folder.url.path
                )
                .split(separator: " ").map(String.init)
                let ran = try Command.run(
                    Programs.kvctl,
                    words,
                    input: Array(input.utf8),
                    environment: environment,
                    within: 30
                )
                text += "$ kvctl \(command)\n\(ran.text)"
                if !ran.text.hasSuffix("\n"), !ran.text.isEmpty { text += "\n" }
                text += ran.errors.split(separator: "\n").map { "! \($0)\n" }.joined()
                text += "exit \(ran.code)\n\n"
            }
            for (found, name) in names { text = text.replacing(found, with: name) }
            // How long an answer took is not the same twice.
            text = text.replacing(#/"?milliseconds"?: ?[0-9.e-]+/#, with: "milliseconds: N")

            if ProcessInfo.processInfo.environment["KV_WRITE_FIXTURES"] != nil {
                try Data(text.utf8).write(to: Self.file)
            }
            let expected = try String(contentsOf: Self.file, encoding: .utf8)
            let (found, wanted) = (text.components(separatedBy: "\n$ "), expected.components(separatedBy: "\n$ "))
            #expect(found.count == wanted.count)
            for (one, other) in zip(found, wanted) { #expect(one == other) }
        }

        @Test func `has every command in docs/kvctl.md`() throws {
            let page = try String(contentsOf: Programs.root.appending(path: "docs/kvctl.md"), encoding: .utf8)
            let dump = try Command.run(Programs.kvctl, ["--experimental-dump-help"])
            let tool = try JSONSerialization.jsonObject(with: Data(dump.output)) as? [String: Any]
            func walk(_ command: [String: Any], _ path: String) {
                let children = (command["subcommands"] as? [[String: Any]] ?? []).filter {
                    $0["commandName"] as? String != "help"
                }
                if children.isEmpty { #expect(page.contains("`\(path)"), "\(path)") }
                for child in children { walk(child, "\(path) \(child["commandName"] ?? "")") }
            }
            walk(try #require(tool?["command"] as? [String: Any]), "kvctl")
        }

        @Test func `completes in bash, zsh and fish`() throws {
            for shell in ["bash", "zsh", "fish"] {
                let script = try Command.run(Programs.kvctl, ["completion", shell])
                #expect(script.code == 0 && script.text.contains("snapshot"), "\(shell)")
                guard let program = Programs.installed(shell) else { continue }
                let checked = try Command.run(program, ["-n"], input: script.output)
                #expect(checked.code == 0, "\(checked.everything)")
            }
            let bash = try #require(Programs.installed("bash"))
            let script = try Command.run(Programs.kvctl, ["completion", "bash"]).text
            let asked =
                script + "\nCOMP_WORDS=(kvctl sta) COMP_CWORD=1 COMP_LINE='kvctl sta' COMP_POINT=9\n"
                + "_kvctl 2>/dev/null; echo \"${COMPREPLY[@]}\"\n"
            let answered = try Command.run(bash, ["-s"], input: Array(asked.utf8))
            #expect(answered.text.contains("status"), "\(answered.everything)")
        }
    }
}

/// What is typed, and what nodes answer.
private enum Script {
    static let files = [
        "right.yaml": "node: {id: 1, data_dir: data}\n",
        "wrong.yaml": "node: {id: 1, data_dir: data}\nraft: {heartbeet: 50ms, election_timeout: 5}\n",
        "contexts.json": """
        {"current":"east","contexts":{"east":{"endpoints":"kv1.example.net:6400","httpEndpoints":"kv1.example.net:8080",\
        "ca":"/etc/kv/ca.pem","user":"ops","passwordFile":"/etc/kv/ops"},"west":{"endpoints":"kv9.example.net:6400"}}}
        """,
        "open.json": #"{"contexts":{}}"#,
        "node.log": "level=info password=hunter22 ok\nAuthorization: Basic YTpi\ntoken kv1.00.11 used\n",
    ]

    /// Commands and what stands on their standard input.
    static let commands: [(String, String)] = [
        ("get greeting", ""), ("get greeting -o json", ""), ("get greeting -o yaml", ""), ("get nothing", ""),
        ("get nothing -o json", ""), ("get nothing -o yaml", ""), ("get denied", ""), ("get denied -o json", ""),
        ("get 6772656574696e67 --key-format hex", ""), ("get 6x --key-format hex", ""),
        ("put a b", ""), ("put a - -o json", "from standard input"), ("put lost b", ""), ("put lost b -o json", ""),
        ("delete a b", ""), ("delete nothing --must-exist", ""), ("delete a -o json", ""),
        ("incr visits --by 3", ""), ("incr visits -o json", ""), ("incr greeting", ""),
        ("scan", ""), ("scan gr --keys-only -o json", ""), ("scan -o yaml", ""),
        ("export --format tsv", ""), ("export --format csv", ""),
        ("batch -", "{}"), ("batch - -o json", "{}"), ("batch FOLDER/none", ""),
        ("status", ""), ("status -o json", ""), ("status -o yaml --http-endpoints DOWN --timeout 1s", ""),
        ("group", ""), ("group list -o json", ""), ("group show 1", ""), ("group show 1 -o yaml", ""),
        ("group show 9", ""),
        ("shard list", ""), ("shard show 1", ""), ("shard show 1 -o json", ""), ("shard show 99", ""),
        ("member list", ""), ("member list -o json", ""), ("member transfer-leader", ""), ("member stop 9", ""),
        ("user list", ""), ("user list -o json", ""), ("user token app", ""), ("user remove nobody", ""),
        ("user grant app rw app/", ""), ("auth", ""), ("auth status -o json", ""),
        ("digest", ""), ("digest -o json", ""),
        ("alarm list", ""), ("alarm list -o json", ""), ("alarm clear --timeout 1s", ""), ("alarm mute", ""),
        ("log-level", ""), ("log-level debug -o json", ""), ("slow", ""), ("slow -o yaml", ""),
        ("config show", ""), ("config show logging -o json", ""), ("config set logging.level debug", ""),
        ("config set node.id 4 --http-endpoints DOWN --timeout 1s", ""),
        ("config validate FOLDER/right.yaml", ""), ("config validate FOLDER/wrong.yaml", ""),
        ("config validate FOLDER/wrong.yaml -o json", ""), ("config validate FOLDER/none.yaml", ""),
        ("compact", ""), ("compact --shard 1 -o json", ""), ("check disk", ""), ("check disk -o json", ""),
        ("check perf --prefix=", ""),
        ("debug bundle --to FOLDER/bundle.tar --log FOLDER/node.log", ""),
        ("debug bundle --to FOLDER/b.tar -o json", ""),
        ("debug bundle --to FOLDER/c.tar --http-endpoints DOWN --timeout 1s", ""),
        ("context list", ""), ("context list -o json", ""), ("context show", ""), ("context show west -o yaml", ""),
        ("context use nowhere", ""), ("context set third --endpoints nonsense", ""),
        ("context set third --endpoints kv3.example.net:6400 --password-variable KV3", ""), ("context remove west", ""),
        ("context list", ""), ("get a --context nowhere", ""),
        (
            "shell",
            "get greeting\n  put a 'b c'\nget nothing\nsay\n'open\n# no\nstatus -o json --timeout x\nexit\nget never\n"
        ),
        ("get a --http-endpoints nonsense", ""), ("get", ""), ("frobnicate", ""),
        ("get a --endpoints DOWN --timeout 1s", ""), ("get a --endpoints DOWN --timeout 1s -o json", ""),
        ("snapshot list FOLDER/none", ""), ("snapshot inspect FOLDER/none -o json", ""),
    ]

    static let words: [(prefix: String, answer: String)] = [
        ("GET greeting", "$5\r\nhello\r\n"), ("GET denied", "-NOPERM user 'app' may not read that key\r\n"),
        ("GET", "$-1\r\n"), ("SET lost", ""), ("SET", "+OK\r\n"), ("DEL nothing", ":0\r\n"), ("DEL", ":1\r\n"),
        ("INCRBY visits", ":42\r\n"), ("INCRBY", "-ERR value is not an integer or out of range\r\n"),
    ]

    static func pages(node: Int) -> [String: FakeNode.Page] {
        let other = 3 - node
        let role = node == 1 ? "leader" : "follower"
        let group = { (id: Int, shards: String) in
            [
                #"{"id":"\#(id)","replica":"\#(node)","role":"\#(role)","term":7,"leader":"1","commitIndex":120,"appliedIndex":120,"#,
                #""firstIndex":1,"lastIndex":121,"logBytes":65536,"lag":{\#(node == 1 ? #""2":1"# : "")},"shards":[\#(shards)]}"#,
            ].joined()
        }
        let alarms = node == 2 ? #""9 MiB of 1024 are left on the disk of the data: free space or add some""# : ""
        let refused = #"{"code":"not_found","message":"there is no user 'nobody'","retryable":false,"requestId":"1"}"#
        var pages: [String: FakeNode.Page] = [:]
        func page(_ parts: String..., status: Int = 200) -> FakeNode.Page {
            FakeNode.Page(status, parts.joined())
        }
        pages["GET /status"] = page(
            #"{"node":"\#(node)","cluster":"00000000000000010000000000000002","incarnation":"aa","version":"1.0.0","ready":true,"#,
            #""alarms":[\#(alarms)],"groups":[\#(group(0, "")),\#(group(1, #""0","1""#))],"#,
            #""peers":[{"id":"\#(other)","connected":true,"addresses":{}}],"storage":{"flushes":3,"compactions":1,"#,
            #""logCuts":0,"tables":4,"tableBytes":12345678,"snapshotsInstalled":0}}"#
        )
        pages["GET /readyz"] = page(#"{"ready":true}"#)
        pages["GET /metrics"] = page(
            """
            # HELP kv_log_sync_seconds x
            kv_log_sync_seconds_bucket{le="0.001"} 90
            kv_log_sync_seconds_bucket{le="0.005"} \(node == 1 ? 100 : 91)
            kv_log_sync_seconds_bucket{le="0.05"} 100
            kv_log_sync_seconds_bucket{le="+Inf"} 100
            kv_disk_free_bytes{disk="data"} 5000000000
            kv_disk_size_bytes{disk="data"} 10000000000

            """
        )
        pages["GET /v1/kv"] = page(
            #"{"items":[{"key":"Z3JlZXRpbmc=","keyUtf8":"greeting","value":"aGVsbG8=","valueUtf8":"hello","version":"5"},"#,
            #"{"key":"/w==","value":"AA==","version":"6","expiresAt":1700000000000}],"hasMore":false,"cursor":null}"#
        )
        pages["POST /v1/batch"] = page(#"{"results":[{"version":"9"}]}"#)
        pages["GET /admin/v1/members"] = page(
            #"{"cluster":"00000000000000010000000000000002","leader":"1","members":["#,
            #"{"id":"1","incarnation":"aa","role":"voter","state":"steady","reachable":true,"#,
            #""addresses":{"peer":"kv1:7400"},"replicas":[{"group":"1","replica":"1","role":"voter","lag":0}]},"#,
            #"{"id":"2","incarnation":null,"role":"learner","state":"catching_up","reachable":false,"#,
            #""addresses":{"peer":"kv2:7400"},"replicas":[{"group":"1","replica":"2","role":"learner","lag":12}]}]}"#
        )
        pages["POST /admin/v1/leadership"] = page(#"{"transfers":[{"group":"1","target":"2","leader":"2"}]}"#)
        pages["GET /admin/v1/users"] = page(
            #"{"enabled":true,"users":[{"name":"admin","admin":true,"hasPassword":true,"grants":[],"tokens":[]},"#,
            #"{"name":"app","admin":false,"hasPassword":false,"grants":[{"permissions":"rw","prefix":"YXBwLw==","utf8":"app/"}],"#,
            #""tokens":["1f"]}]}"#
        )
        pages["POST /admin/v1/users/app/tokens"] = page(#"{"id":"2a","token":"kv1.2a.secret"}"#, status: 201)
        pages["DELETE /admin/v1/users/nobody"] = page(refused, status: 404)
        pages["PUT /admin/v1/users/app/grants"] = page("", status: 204)
        pages["GET /admin/v1/auth"] = page(
            #"{"enabled":true,"requiredByConfiguration":false,"users":2,"administrators":1}"#
        )
        pages["GET /admin/v1/digest"] = page(
            #"{"digests":[{"group":"1","shard":"0","appliedIndex":120,"keys":2,"hash":"00000000000000\#(node)a"},"#,
            #"{"group":"1","shard":"1","appliedIndex":120,"keys":0,"hash":"0000000000000000"}]}"#
        )
        pages["GET /admin/v1/log-level"] = page(#"{"level":"info"}"#)
        pages["PUT /admin/v1/log-level"] = page(#"{"level":"debug"}"#)
        pages["GET /admin/v1/slow-requests"] = page(
            #"{"slowRequests":[{"id":"1","finishedAtMs":1700000000000,"operation":"put","key":"private","group":"1","shard":"0","#,
            #""index":9,"requests":2,"totalUs":251300,"stagesUs":{"queue":100,"propose":200,"sync":250000,"replicate":900,"#,
            #""apply":100}}]}"#
        )
        pages["GET /admin/v1/config"] = page(
            #"{"settings":[{"name":"node.id","value":"\#(node)","origin":"n\#(node).yaml:2:7","live":false},"#,
            #"{"name":"logging.level","value":"info","origin":"default","live":true},"#,
            #"{"name":"tls.key","value":null,"origin":"default","live":false}]}"#
        )
        pages["PUT /admin/v1/config"] = page(
            #"{"settings":[{"name":"logging.level","value":"debug","origin":"changed while running","live":true}]}"#
        )
        pages["POST /admin/v1/compact"] = page(
            #"{"shards":[{"group":"1","shard":"1","bytesBefore":40000000,"bytesAfter":9000}]}"#
        )
        return pages
    }
}
