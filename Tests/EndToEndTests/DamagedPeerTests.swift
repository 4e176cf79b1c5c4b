import Foundation
import Testing

@testable import KVPeer

extension EndToEnd {
    @Suite struct `what a peer sends` {
        /// Writes through every node while frames are harmed on the way, then expects all of it on every node.
        private static func survive(_ harm: PeerRelay.Harm) throws {
            try TestCluster.run { cluster in
                let relays = try cluster.putRelaysBetween()
                defer { for relay in relays.values { relay.stop() } }
                for relay in relays.values { relay.set(harm) }
                for index in 0..<60 {
                    let node = index % cluster.nodes.count + 1
                    #expect(try cluster.askUntilServed(node, ["SET", "key-\(index)", "value-\(index)"]) == .ok)
                }
                let harmed = relays.values.reduce(0) { $0 + $1.harmedCount }
                #expect(harmed >= 5, "too few frames were harmed")
                for relay in relays.values { relay.set(.none) }
                try cluster.waitCaughtUp()
                for node in cluster.nodes {
                    for index in 0..<60 {
                        let answer = try cluster.askUntilServed(node.id, ["GET", "key-\(index)"])
                        #expect(answer == .text("value-\(index)"), "node \(node.id)")
                    }
                }
                let digest = try cluster.kvctl("digest")
                #expect(digest.code == 0, "\(digest.everything)")
            }
        }

        @Test func `with a bit turned over is refused, and nothing is lost`() throws {
            try Self.survive(.flippedBit(every: 6))
        }

        @Test func `with damaged entries under a right frame is not logged, and nothing is lost`() throws {
            try Self.survive(.damagedEntry(every: 4))
        }

        /// Beginnings of a connection that no node makes; the magic is right, what follows is not.
        static var wrongFrames: [(what: String, bytes: [UInt8])] {
            let magic = PeerFrameFormat.magic
            func little(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
            return [
                ("an oversized frame", magic + little(.max) + little(4) + little(0)),
                ("a frame shorter than its header", magic + little(3) + little(0)),
                ("an envelope longer than its frame", magic + little(12) + little(400) + little(0) + [1, 2, 3, 4]),
                ("a wrong checksum", magic + little(12) + little(4) + little(7) + [1, 2, 3, 4]),
                ("half a frame", magic + little(100) + little(50) + [1]),
                ("another version of the framing", Array(magic.dropLast()) + [9]),
            ]
        }

        @Test func `that makes no sense ends the connection and nothing else`() throws {
            try TestCluster.run { cluster in
                #expect(try RESPConnection(port: cluster.node(1).resp).ask("SET", "k", "v") == .ok)
                for node in cluster.nodes {
                    for (what, bytes) in Self.wrongFrames {
                        let socket = try Socket(port: node.peer)
                        // The node may close while we still send.
                        try? socket.send(bytes)
                        socket.finishSending()
                        // A reset is a close too; a time-out would be none.
                        do { _ = try socket.readToEnd() } catch {
                            #expect(!"\(error)".contains("temporarily"), "\(what): the connection stays open")
                        }
                    }
                }
                for node in cluster.nodes {
                    #expect(try cluster.askUntilServed(node.id, ["GET", "k"]) == .text("v"))
                }
                // No connection between the nodes suffered.
                let status = try cluster.kvctl("status")
                #expect(status.code == 0, "\(status.everything)")
            }
        }
    }
}
