import KVBase
import KVService
import NIOCore

// CLUSTER: the truth about slots, for clients of Redis Cluster.

extension RESPConnection {
    func cluster(_ arguments: Arguments) throws(RESPError) {
        if isHelp(arguments, of: "cluster") { return }
        if arguments.matches(1, "KEYSLOT") {
            let slot = Slot(key: arguments[2])
            reply { output, _ in output.writeNumber(Int64(slot.rawValue)) }
        } else if arguments.matches(1, "SLOTS") {
            answer { output, map, isRESP3 in output.writeSlots(map, isRESP3: isRESP3) }
        } else if arguments.matches(1, "SHARDS") {
            answer { output, map, isRESP3 in output.writeShards(map, isRESP3: isRESP3) }
        } else if arguments.matches(1, "NODES") {
            answer { output, map, isRESP3 in output.writeText(map.nodeLines, isRESP3: isRESP3) }
        } else if arguments.matches(1, "INFO") {
            answer { output, map, isRESP3 in output.writeText(map.information, isRESP3: isRESP3) }
        } else if arguments.matches(1, "MYID") {
            answer { output, map, _ in output.writeBulk(map.id(of: map.status.node)) }
        } else if arguments.matches(1, "LINKS") {
            reply { output, _ in output.writeArrayHead(0) }
        } else if arguments.matches(1, "COUNTKEYSINSLOT") {
            try keysInSlot(try slot(arguments, 2), limit: nil)
        } else {
            // GETKEYSINSLOT.
            let limit = try arguments.integer(3)
            guard limit >= 0 else { throw .line("ERR Invalid number of keys") }
            try keysInSlot(try slot(arguments, 2), limit: Int(clamping: limit))
        }
    }

    private func slot(_ arguments: Arguments, _ index: Int) throws(RESPError) -> Slot {
        let number = try arguments.integer(index)
        guard number >= 0, number < Slot.count else { throw .line("ERR Invalid or out of range slot") }
        return Slot(rawValue: UInt16(number))
    }

    private func answer(_ write: @escaping @Sendable (inout ByteBuffer, ClusterMap, Bool) -> Void) {
        let sequence = expectCustom()
        let shared = shared
        service.status { [self] status in
            shared.note(status)
            let map = ClusterMap(status)
            finish(sequence) { output, isRESP3 in write(&output, map, isRESP3) }
        }
    }

    /// Goes through all keys, a page at a time: slots are not kept apart.
    private func keysInSlot(_ slot: Slot, limit: Int?) throws(RESPError) {
        let collector = SlotCollector(connection: self, sequence: expectCustom(.read), slot: slot, limit: limit)
        collector.readPage(from: [])
    }
}

/// Reads the pages for COUNTKEYSINSLOT and GETKEYSINSLOT.
///
/// SENDABLE: one page is under way at a time and its completion starts the next, so no two threads are in here at once.
private final class SlotCollector: @unchecked Sendable {
    private let connection: RESPConnection
    private let sequence: UInt64
    private let slot: Slot
    private let limit: Int?
    private let consistency: Consistency
    private var keys: [[UInt8]] = []
    private var count = 0

    init(connection: RESPConnection, sequence: UInt64, slot: Slot, limit: Int?) {
        self.connection = connection
        self.sequence = sequence
        self.slot = slot
        self.limit = limit.map { min($0, connection.shared.settings.keysMax) }
        consistency = connection.consistency
    }

    func readPage(from start: [UInt8]) {
        let request = ScanRequest(start: start, limit: 10_000, keysOnly: true, consistency: consistency)
        connection.service.scan(request) { self.take($0, start: start) }
    }

    private func take(_ result: Result<ScanPage, ServiceError>, start: [UInt8]) {
        switch result {
        case .failure(let error):
            connection.finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
        case .success(let page):
            for row in page.rows where Slot(key: row.key) == slot {
                count += 1
                if keys.count < limit ?? 0 { keys.append(row.key) }
            }
            if page.hasMore, limit.map({ self.keys.count < $0 }) ?? true {
                let next = page.rows.last.map { $0.key + [0] } ?? start
                return connection.loop.eventLoop.execute { self.readPage(from: next) }
            }
            let (count, keys, wantsKeys) = (count, keys, limit != nil)
            connection.finish(sequence) { output, _ in
                guard wantsKeys else { return output.writeNumber(Int64(count)) }
                output.writeArrayHead(keys.count)
                for key in keys { key.withUnsafeBytes { output.writeBulk($0) } }
            }
        }
    }
}

/// Who serves which slots, as Cluster clients are told.
struct ClusterMap: Sendable {
    struct Node: Sendable {
        var id: NodeID
        var host: String
        var port: Int
        var isConnected: Bool
    }

    let status: NodeStatus
    /// All nodes whose address is known, this one first.
    let nodes: [Node]

    init(_ status: NodeStatus) {
        self.status = status
        var nodes: [Node] = []
        let all =
            [(status.node, status.addresses, true)] + status.peers.map { ($0.id, $0.addresses, $0.isConnected) }
        for (id, addresses, isConnected) in all {
            guard let address = Self.address(addresses), let (host, port) = Self.split(address) else { continue }
            nodes.append(Node(id: id, host: host, port: port, isConnected: isConnected))
        }
        self.nodes = nodes
    }

    /// Where Cluster clients reach a node: its listener for them, or the other one.
    static func address(_ addresses: [String: String]) -> String? { addresses["resp_redirect"] ?? addresses["resp"] }

    private static func split(_ address: String) -> (String, Int)? {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]) else {
            return nil
        }
        var host = address[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (String(host), port)
    }

    func node(_ id: NodeID) -> Node? { nodes.first { $0.id == id } }

    func leader(of group: GroupID) -> NodeID? { status.groups.first { $0.id == group }?.leader }

    /// Forty hexadecimal digits, as Redis's: 24 of the cluster, 16 of the node.
    func id(of node: NodeID) -> String {
        let cluster = status.cluster.description.filter(\.isHexDigit).lowercased()
        let padded = String(cluster.prefix(24)) + String(repeating: "0", count: max(0, 24 - cluster.count))
        let number = String(node.rawValue, radix: 16)
        return padded + String(repeating: "0", count: 16 - number.count) + number
    }

    /// The ranges that a known node leads, with it.
    var led: [(range: NodeStatus.SlotRange, leader: Node)] {
        status.slotRanges.compactMap { range in
            leader(of: range.group).flatMap { node($0) }.map { (range, $0) }
        }
    }

    var information: String {
        let assigned = led.reduce(0) { $0 + $1.range.last - $1.range.first + 1 }
        let leaders = Set(led.map(\.leader.id)).count
        let epoch = status.groups.map(\.term).max() ?? 0
        return [
            "cluster_enabled:1", "cluster_state:\(assigned == Slot.count ? "ok" : "fail")",
            "cluster_slots_assigned:\(Slot.count)", "cluster_slots_ok:\(assigned)",
            "cluster_slots_pfail:0", "cluster_slots_fail:\(Slot.count - assigned)",
            "cluster_known_nodes:\(nodes.count)", "cluster_size:\(leaders)", "cluster_current_epoch:\(epoch)",
            "cluster_my_epoch:\(epoch)",
        ].map { $0 + "\r\n" }.joined()
    }

    var nodeLines: String {
        let leaders = Set(led.map(\.leader.id))
        let master = led.first.map { id(of: $0.leader.id) } ?? "-"
        return nodes.map { node in
            let isLeader = leaders.contains(node.id)
            let flags = (node.id == status.node ? "myself," : "") + (isLeader ? "master" : "slave")
            let ranges = led.filter { $0.leader.id == node.id }.map {
                $0.range.first == $0.range.last ? " \($0.range.first)" : " \($0.range.first)-\($0.range.last)"
            }
            return "\(id(of: node.id)) \(node.host):\(node.port)@0 \(flags) \(isLeader ? "-" : master) 0 0 0"
                + " \(node.isConnected ? "connected" : "disconnected")\(ranges.joined())\n"
        }.joined()
    }
}

extension ByteBuffer {
    fileprivate mutating func writeSlots(_ map: ClusterMap, isRESP3: Bool) {
        let led = map.led
        writeArrayHead(led.count)
        for (range, leader) in led {
            let replicas = map.nodes.filter { $0.id != leader.id && $0.isConnected }
            writeArrayHead(3 + replicas.count)
            writeNumber(Int64(range.first))
            writeNumber(Int64(range.last))
            for node in [leader] + replicas {
                writeArrayHead(4)
                writeBulk(node.host)
                writeNumber(Int64(node.port))
                writeBulk(map.id(of: node.id))
                writeArrayHead(0)
            }
        }
    }

    fileprivate mutating func writeShards(_ map: ClusterMap, isRESP3: Bool) {
        let led = map.led
        let leaders = map.nodes.filter { node in led.contains { $0.leader.id == node.id } }
        writeArrayHead(leaders.count)
        for leader in leaders {
            let ranges = led.filter { $0.leader.id == leader.id }.map(\.range)
            writeMapHead(2, isRESP3: isRESP3)
            writeBulk("slots")
            writeArrayHead(2 * ranges.count)
            for range in ranges {
                writeNumber(Int64(range.first))
                writeNumber(Int64(range.last))
            }
            writeBulk("nodes")
            let nodes = [leader] + map.nodes.filter { node in !leaders.contains { $0.id == node.id } }
            writeArrayHead(nodes.count)
            for node in nodes {
                writeMapHead(7, isRESP3: isRESP3)
                for (name, value) in [
                    ("id", map.id(of: node.id)), ("ip", node.host), ("endpoint", node.host),
                    ("role", node.id == leader.id ? "master" : "replica"),
                    ("health", node.isConnected ? "online" : "fail"),
                ] {
                    writeBulk(name)
                    writeBulk(value)
                }
                writeBulk("port")
                writeNumber(Int64(node.port))
                writeBulk("replication-offset")
                writeNumber(0)
            }
        }
    }
}
