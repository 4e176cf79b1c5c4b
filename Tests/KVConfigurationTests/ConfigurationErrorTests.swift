import KVConfiguration
import Testing

struct ConfigurationErrorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let expected: [String]
        var testDescription: String { text }

        init(_ text: String, _ expected: String...) {
            self.text = text
            self.expected = expected
        }
    }

    @Test(arguments: [
        Case(
            least + "raft: {electon_timeout: 5s}",
            "f.yaml:2:8: unknown key \"raft.electon_timeout\"; expected one of heartbeat, election_timeout, batch_bytes_max, "
                + "inflight_messages, inflight_bytes, uncommitted_bytes_max; nearest: election_timeout"
        ),
        Case(
            least + "election_timeout: 5s",
            "f.yaml:2:1: unknown key \"election_timeout\"; expected one of insecure, node, cluster, resp, "
                + "resp_cluster, http, grpc, peer, tls, auth, raft, log, storage, limits, request, threads, logging, metrics, alarms; nearest: raft.election_timeout"
        ),
        Case(
            least + "raft:\n  heartbeat: 50ms\n  heartbeat: 60ms",
            "f.yaml:4:3: duplicate key \"heartbeat\"; expected it once (first at line 3, column 3)"
        ),
        Case(
            least + "raft: {heartbeat: 50}",
            "f.yaml:2:19: raft.heartbeat: \"50\" has no unit; expected one of ms, s, m, h, such as 250ms"
        ),
        Case(
            least + "log: {segment_bytes: 64MB}",
            "f.yaml:2:22: log.segment_bytes: \"MB\" is no unit of a size; expected one of B, KiB, MiB, GiB, TiB, such as 64MiB; "
                + "nearest: 64MiB"
        ),
        Case(
            least + "limits: {value_bytes: 64MiB}",
            "f.yaml:2:23: limits.value_bytes: \"64MiB\" is out of range; expected a size from 1B to 16MiB"
        ),
        Case(
            least + "limits: {value_bytes: 99999999999999999999MiB}",
            "f.yaml:2:23: limits.value_bytes: \"99999999999999999999MiB\" is out of range; expected a size from 1B to 16MiB"
        ),
        Case(
            least + "insecure: yes",
            "f.yaml:2:11: insecure: \"yes\" is no boolean; expected true or false; nearest: true"
        ),
        Case(
            least + "raft: {inflight_messages: \"7\"}",
            "f.yaml:2:27: raft.inflight_messages: found the text \"7\"; expected a number from 1 to 4096; nearest: 7"
        ),
        Case(
            least + "raft: {inflight_messages: -7}",
            "f.yaml:2:27: raft.inflight_messages: \"-7\" is no whole number; expected a number from 1 to 4096"
        ),
        Case(
            least + "raft: 5",
            "f.yaml:2:7: raft: found \"5\"; expected a mapping with heartbeat, election_timeout, batch_bytes_max, "
                + "inflight_messages, inflight_bytes, uncommitted_bytes_max"
        ),
        Case(
            least + "storage: {compression: zst}",
            "f.yaml:2:24: storage.compression: \"zst\" is no choice; expected one of zstd, none; nearest: zstd"
        ),
        Case(
            least + "resp: {listen: 127.0.0.1}",
            "f.yaml:2:16: resp.listen: \"127.0.0.1\" has no port; expected host:port"
        ),
        Case(
            least + "resp: {listen: 127.0.0.1:70000}",
            "f.yaml:2:16: resp.listen: \"70000\" is no port; expected a number from 0 to 65535"
        ),
        Case(
            least + "resp: {listen: \"::1:6400\"}",
            "f.yaml:2:16: resp.listen: \"::1:6400\" is not host:port; expected an IPv6 address in brackets; "
                + "nearest: \"[::1]:6400\""
        ),
        Case(
            least + "resp: {listen: 300.0.0.1:1}",
            "f.yaml:2:16: resp.listen: \"300.0.0.1\" is no host; expected a host name or an IP address"
        ),
        Case(
            least + "resp: {listen: 127.0.0.1:7400}",
            "f.yaml:2:16: peer.listen: 127.0.0.1:7400 is taken by resp.listen (127.0.0.1:7400); expected another port"
        ),
        Case(
            "node: {id: 1}",
            "f.yaml:1:1: missing key \"node.data_dir\"; expected text of 1 to 4096 bytes, such as data"
        ),
        Case(
            "node: {id: 0, data_dir: data}",
            "f.yaml:1:12: node.id: \"0\" is out of range; expected a number from 1 to 9223372036854775807"
        ),
        Case(
            least + "http: {listen: 0.0.0.0:8080}\ninsecure: true",
            "f.yaml:2:16: http.listen: 0.0.0.0:8080 is no address to reach this node at; expected http.advertise beside it"
        ),
        Case(
            least + "http: {listen: 10.0.0.1:8080}",
            "f.yaml:2:16: http.listen: 10.0.0.1:8080 can be reached by other machines and does without http.tls; expected that, "
                + "a loopback address, or `insecure: true` at the top of the file"
        ),
        Case(
            least + "auth: {required: true}\nhttp: {listen: 10.0.0.1:8080}",
            "f.yaml:3:16: http.listen: 10.0.0.1:8080 can be reached by other machines and does without http.tls; expected that, "
                + "a loopback address, or `insecure: true` at the top of the file"
        ),
        Case(
            least + "tls: {certificate: c, key: k}\nresp: {listen: 10.0.0.1:6400, tls: true}",
            "f.yaml:3:16: resp.listen: 10.0.0.1:6400 can be reached by other machines and does without auth.required; expected that, "
                + "a loopback address, or `insecure: true` at the top of the file"
        ),
        Case(
            least + "tls: {certificate: c, key: k, ca: a}\npeer: {listen: 10.0.0.1:7400}",
            "f.yaml:3:16: peer.listen: 10.0.0.1:7400 can be reached by other machines and does without peer.tls; expected that, "
                + "a loopback address, or `insecure: true` at the top of the file"
        ),
        Case(
            least + "tls: {certificate: c}\npeer: {tls: true}",
            "f.yaml:3:13: peer.tls: expected tls.key beside it",
            "f.yaml:3:13: peer.tls: expected tls.ca beside it"
        ),
        Case(
            least + "cluster: {nodes: [{id: 2, peer: \"127.0.0.1:1\"}]}",
            "f.yaml:1:12: node.id: node 1 is not in cluster.nodes; expected one of 2"
        ),
        Case(
            least + "cluster: {nodes: [{id: 1, peer: \"h:1\"}, {id: 1, peer: \"h:1\"}]}",
            "f.yaml:2:18: cluster.nodes: node 1 stands there twice; expected every id once",
            "f.yaml:2:18: cluster.nodes: h:1 is the address of node 1 and of node 1; expected one each"
        ),
        Case(
            least + "cluster: {nodes: [{id: 1, pear: \"h:1\"}, 5, {peer: \"h:1\"}]}",
            "f.yaml:2:27: unknown key \"cluster.nodes.pear\"; expected one of id, peer; nearest: peer",
            "f.yaml:2:41: cluster.nodes: found \"5\"; expected {id: number, peer: host:port}",
            "f.yaml:2:44: cluster.nodes: missing key \"id\"; expected {id: number, peer: host:port}"
        ),
        Case(
            least + "peer: {advertise: \"127.0.0.1:9\"}\ncluster: {nodes: [{id: 1, peer: \"127.0.0.1:1\"}]}",
            "f.yaml:2:19: peer.advertise: 127.0.0.1:9 is not what cluster.nodes says of node 1; expected 127.0.0.1:1"
        ),
        Case(
            least + "raft: {heartbeat: 200ms}",
            "f.yaml:2:19: raft.election_timeout: 250ms is too short for raft.heartbeat 200ms; expected at least 400ms"
        ),
        Case(
            least + "storage: {l0: {compact_at: 9}}",
            "f.yaml:2:28: storage.l0.slow_at: 8 is reached before compaction starts; expected more than storage.l0.compact_at, 9"
        ),
        Case("", "f.yaml:1:1: the file is empty; expected a mapping of settings", missingID, missingDirectory),
        Case("- a", "f.yaml:1:1: the file holds a list; expected a mapping of settings", missingID, missingDirectory),
        Case(least + "---\na: b\n", "f.yaml:2:1: a second document; expected one document a file"),
        Case(
            "node: {id: 1, data_dir: &a data}\ncluster: {name: *a}",
            "f.yaml:1:25: an anchor; expected the value itself (anchors and aliases are not taken)",
            "f.yaml:2:17: an alias; expected the value itself (anchors and aliases are not taken)"
        ),
        Case(
            "node: {id: !!int 1, data_dir: data}",
            "f.yaml:1:12: a tag; expected the value itself (tags are not taken)"
        ),
        Case("%YAML 1.1\n---\n" + least, "f.yaml:1:1: a directive; expected none in a configuration"),
        Case(
            least + "raft: {heartbeat: }",
            "f.yaml:2:19: raft.heartbeat: found nothing; expected a duration from 5ms to 10s"
        ),
        Case(least + "? [a]\n: b", "f.yaml:2:3: a key that is a mapping or list; expected a name"),
        Case(least + "\u{0}", "f.yaml:2:1: a NUL byte; expected text in UTF-8", missingID, missingDirectory),
    ])
    func `a mistake is told with its place, what was expected and the nearest name`(mistake: Case) {
        #expect(problems(mistake.text) == mistake.expected)
    }

    static let missingID =
        "f.yaml:1:1: missing key \"node.id\"; expected a number from 1 to 9223372036854775807, such as 1"
    static let missingDirectory =
        "f.yaml:1:1: missing key \"node.data_dir\"; expected text of 1 to 4096 bytes, such as data"

    @Test func `every mistake is told, not only the first`() {
        let found = problems(
            "node: {id: x}\nraft: {heartbeat: 5}\nfoo: 1\n",
            environment: ["KVNODE_RAFT_HEARBEAT": "5ms"],
            flags: ["http.lisen=1", "log.dir"]
        )
        #expect(found.count == 7)
        #expect(found[3].hasPrefix("environment KVNODE_RAFT_HEARBEAT: no setting has this variable"))
        #expect(found[3].hasSuffix("nearest: KVNODE_RAFT_HEARTBEAT"))
        #expect(found[4].hasPrefix("flag --set http.lisen: unknown key \"http.lisen\""))
        #expect(found[4].hasSuffix("nearest: http.listen"))
        #expect(found[5] == "flag --set log.dir: no value; expected path=value, such as raft.election_timeout=250ms")
    }

    @Test func `bytes that are not UTF-8 are told with their place`() {
        let found = problems(load(bytes: Array(least.utf8) + [0x61, 0x3a, 0x20, 0xff, 0x0a]))
        #expect(found.first == "f.yaml:2:4: bytes that are not UTF-8; expected text in UTF-8")
    }

    @Test func `bad YAML is told with its place`() {
        #expect(problems(least + "raft: [").first?.hasPrefix("f.yaml:3:1: not valid YAML: ") == true)
        #expect(problems(least + "raft:\n\theartbeat: 5ms").first?.hasPrefix("f.yaml:3:1: not valid YAML: ") == true)
    }

    @Test func `deep nesting and great files are refused`() {
        let deep = String(repeating: "[", count: 5000)
        #expect(problems(deep).contains { $0.contains("nested deeper than 16") })
        let great = least + String(repeating: "#", count: 1 << 20)
        #expect(problems(great).first?.contains("expected at most 1048576") == true)
    }

    @Test(arguments: [
        "127.0.0.1:0", "localhost:1", "[::1]:6401", "[2001:db8::1]:1", "[::ffff:1.2.3.4]:1", "n1.example-x.net:7",
    ])
    func `addresses of every kind are taken`(address: String) throws {
        let loaded = try load(least + "insecure: true\nresp: {listen: \"\(address)\"}").get()
        #expect(loaded.configuration.resp.listen.description == address)
    }

    @Test(arguments: [
        "[::1:1", "[:::]:1", "[1:2]:1", "[]:1", ":1", "a..b:1", "-a:1", "a b:1", "1.2.3:1", "a:", "a:1x", "[1::2::3]:1",
    ])
    func `what is no address is refused`(address: String) {
        #expect(problems(least + "insecure: true\nresp: {listen: \"\(address)\"}").count == 1)
    }
}
