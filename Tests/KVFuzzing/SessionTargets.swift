import KVBase
import KVConfiguration
import KVFakeService
import KVTelemetry
import Logging
import NIOCore
import NIOEmbedded

@testable import KVRESP

/// Whole conversations: what a client says to a node, and everything a configuration is put together from.
enum SessionTargets {
    static let all = [
        FuzzTarget(name: "resp-session", seeds: sessions) { converse($0) },
        FuzzTarget(name: "configuration", seeds: configurations) { configure($0) },
    ]

    /// Every command is taken or refused, whatever its arguments are.
    static func converse(_ bytes: UnsafeRawBufferPointer) {
        let service = FakeService()
        let channel = EmbeddedChannel()
        let server = RESPServer(
            service: service,
            settings: RESPSettings(node: NodeID(1), softwareVersion: "0") { service.now },
            metrics: MetricRegistry(),
            logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        )
        do {
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try server.adopt(channel)
            try channel.writeInbound(ByteBuffer(bytes: bytes))
            channel.embeddedEventLoop.run()
            while let part = try channel.readOutbound(as: ByteBuffer.self) { consume(part) }
        } catch {
            // The channel was closed under us, as a refused client's is.
        }
        // What is left is let go as when a client goes.
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    @Sendable static func sessions() -> [[UInt8]] {
        [
            "SET k v EX 10 NX GET\r\nGETEX k PERSIST\r\nSCAN 0 MATCH k* COUNT 10 TYPE string\r\n",
            "MULTI\r\nSET {k}a 1\r\nINCRBYFLOAT {k}b 1e-5\r\nWATCH x\r\nEXEC\r\nDISCARD\r\nRESET\r\n",
            "HELLO 3 AUTH a b SETNAME c\r\nCLIENT LIST ID 1 2\r\nCLIENT KILL ADDR 1.2.3.4:5\r\nCLIENT SETINFO LIB-NAME x\r\n",
            "COMMAND DOCS get\r\nCOMMAND GETKEYS MSET a 1 b 2\r\nCONFIG SET maxclients 1x\r\nCONFIG GET *\r\nSLOWLOG GET -2\r\n",
            "CLUSTER GETKEYSINSLOT 99999 -1\r\nCLUSTER KEYSLOT {}{a}\r\nMEMORY USAGE k SAMPLES 9\r\nOBJECT FREQ k\r\n",
            "SETRANGE k 536870911 x\r\nGETRANGE k -9223372036854775808 9223372036854775807\r\nEXPIRE k -1 GT LT\r\n",
            "KV.SESSION DO 1 18446744073709551615 0 SET k v\r\nKV.SESSION OPEN -5\r\nCOPY a{x} b{x} DB 0 REPLACE\r\n",
            "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\nKEYS [a-\\\r\nKEYS ?*[^z]\\*\r\nGETDEL \"\\x00\\n\"\r\nQUIT\r\n",
        ].map { Array($0.utf8) }
    }

    /// The input is a file, then variables, flags and changes while running: all are read or refused with a reason.
    static func configure(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let file = input.piece()
        let variable = String(decoding: input.piece(), as: UTF8.self)
        let flag = String(decoding: input.piece(), as: UTF8.self)
        let name = String(decoding: input.piece(), as: UTF8.self)
        let value = String(decoding: input.remainder(), as: UTF8.self)
        let sources = ConfigurationLoader.Sources(
            file: ("f.yaml", file),
            environment: ["KVNODE_RAFT_HEARTBEAT": variable],
            flags: flag.isEmpty ? [] : [flag]
        )
        do throws(ConfigurationError) {
            let loaded = try ConfigurationLoader.load(sources)
            consume(ConfigurationWriter.listing(loaded))
            do throws(LoadedConfiguration.ChangeError) {
                let changed = try loaded.changing(name, to: value)
                require(LoadedConfiguration.livePaths.contains(name), "\(name) was changed while running")
                consume(changed.shown)
            } catch {
                consume(error)
            }
        } catch {
            require(!error.problems.isEmpty, "a refusal without a problem")
        }
    }

    @Sendable static func configurations() -> [[UInt8]] {
        [
            ("node: {id: 1, data_dir: d}\n", "60ms", "raft.election_timeout=300ms", "logging.level", "debug"),
            ("node: {id: 1, data_dir: d}\nalarms: {disk_free: 1GiB}\n", "", "", "alarms.disk_free", "2GiB"),
            ("node:\n  id: 7\n  data_dir: \"a\\x00b\"\n", "5", "node.id=x", "limits.connections", "0"),
        ].map { file, variable, flag, name, value in
            var bytes: [UInt8] = []
            for piece in [file, variable, flag, name] { bytes.append(piece: Array(piece.utf8)) }
            return bytes + Array(value.utf8)
        }
    }
}
