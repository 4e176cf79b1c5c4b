import Foundation
import KVBase
import KVConfiguration
import Testing

struct ConfigurationFileTests {
    @Test func `the reference file is what the code says`() throws {
        let path = packageRoot.appending(path: "config/kvnode.yaml")
        if ProcessInfo.processInfo.environment["WRITE_REFERENCE"] == "1" {
            try ConfigurationWriter.reference.write(to: path, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: path, encoding: .utf8)
        #expect(written == ConfigurationWriter.reference, "run the tests once with WRITE_REFERENCE=1")
    }

    @Test func `the reference file loads to the defaults`() throws {
        let reference = try load(bytes: packageFile("config/kvnode.yaml")).get()
        #expect(try reference.configuration == load(least).get().configuration)
    }

    @Test func `the single node's file loads`() throws {
        let configuration = try load(bytes: packageFile("config/single.yaml")).get().configuration
        #expect(configuration.node.dataDirectory == "data/single")
        #expect(configuration.resp.listen == HostPort(host: "127.0.0.1", port: 6400))
        #expect(configuration.cluster.nodes == [Member(id: NodeID(1), peer: HostPort(host: "127.0.0.1", port: 7400))])
    }

    @Test(arguments: 1...3) func `the cluster's files load and agree`(node: Int) throws {
        let configuration = try load(bytes: packageFile("config/cluster/n\(node).yaml")).get().configuration
        #expect(configuration.node.id == NodeID(UInt64(node)))
        #expect(configuration.node.dataDirectory == "data/n\(node)")
        #expect(configuration.resp.advertised == HostPort(host: "127.0.0.1", port: 6400 + node))
        #expect(configuration.http.advertised == HostPort(host: "127.0.0.1", port: 8080 + node))
        #expect(configuration.peer.advertised == HostPort(host: "127.0.0.1", port: 7400 + node))
        let peers = (1...3).map { Member(id: NodeID(UInt64($0)), peer: HostPort(host: "127.0.0.1", port: 7400 + $0)) }
        #expect(configuration.cluster.nodes == peers)
    }

    @Test func `defaults are those of the documentation`() throws {
        let configuration = try load(least).get().configuration
        #expect(configuration.raft.heartbeat == .milliseconds(50))
        #expect(configuration.raft.electionTimeout == .milliseconds(250))
        #expect(configuration.raft.batchBytesMax == 1 << 20)
        #expect(configuration.log.segmentBytes == 64 << 20)
        #expect(configuration.log.directory == nil)
        #expect(configuration.limits.keyBytes == Limits.keyBytesDefault)
        #expect(configuration.limits.valueBytes == Limits.valueBytesDefault)
        #expect(configuration.cluster.shards == Limits.shardCountDefault)
        #expect(configuration.storage.compression == .zstd)
        #expect(configuration.isInsecure == false)
    }

    @Test func `a flag beats the environment beats the file beats the default`() throws {
        let file = least + "raft:\n  heartbeat: 20ms\n  election_timeout: 300ms\n  inflight_messages: 7\n"
        let loaded = try load(
            file,
            environment: ["KVNODE_RAFT_ELECTION_TIMEOUT": "400ms", "KVNODE_RAFT_INFLIGHT_MESSAGES": "8", "HOME": "/"],
            flags: ["raft.inflight_messages=9"]
        ).get()
        #expect(loaded.configuration.raft.heartbeat == .milliseconds(20))
        #expect(loaded.configuration.raft.electionTimeout == .milliseconds(400))
        #expect(loaded.configuration.raft.inflightMessages == 9)
        #expect(loaded.origin(of: "raft.heartbeat") == .file("f.yaml", SourcePosition(line: 3, column: 14)))
        #expect(loaded.origin(of: "raft.election_timeout") == .environment("KVNODE_RAFT_ELECTION_TIMEOUT"))
        #expect(loaded.origin(of: "raft.inflight_messages") == .flag("raft.inflight_messages"))
        #expect(loaded.origin(of: "raft.batch_bytes_max") == .byDefault)
    }

    @Test func `the listing shows every origin and loads again to the same`() throws {
        let loaded = try load(
            least
                + "cluster: {nodes: [{id: 1, peer: \"[::1]:7401\"}], name: 'a \"b\" \\'}\npeer: {listen: \"[::1]:7401\"}\n",
            environment: ["KVNODE_LOG_RETAIN_BYTES": "1GiB"]
        ).get()
        let listing = ConfigurationWriter.listing(loaded)
        #expect(listing.contains("retain:\n    bytes: 1GiB  # environment KVNODE_LOG_RETAIN_BYTES\n"))
        #expect(listing.contains("  id: 1  # f.yaml:1:12\n"))
        #expect(listing.contains("  heartbeat: 50ms  # default\n"))
        #expect(try load(listing).get().configuration == loaded.configuration)
    }

    @Test func `the nodes of a cluster may come from the environment`() throws {
        let loaded = try load(
            least,
            environment: ["KVNODE_CLUSTER_NODES": "1=a.example:1,2=[::1]:2", "KVNODE_PEER_ADVERTISE": "a.example:1"]
        ).get()
        #expect(
            loaded.configuration.cluster.nodes == [
                Member(id: NodeID(1), peer: HostPort(host: "a.example", port: 1)),
                Member(id: NodeID(2), peer: HostPort(host: "::1", port: 2)),
            ]
        )
    }

    @Test func `without a file the environment is enough`() throws {
        let sources = ConfigurationLoader.Sources(environment: ["KVNODE_NODE_ID": "3", "KVNODE_NODE_DATA_DIR": "d"])
        #expect(try ConfigurationLoader.load(sources).configuration.node.id == NodeID(3))
    }
}
