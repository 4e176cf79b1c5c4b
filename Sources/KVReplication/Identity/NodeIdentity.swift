package import KVBase

/// Who a data directory belongs to: the content of `node.yaml`, the one file of a data directory that is text.
///
///     format: 1
///     cluster: 32 hexadecimal digits
///     node: 1
///     incarnation: 16 hexadecimal digits
///     formed: true                      whether every member met this incarnation
///     joined: true                      where the node joined a cluster that existed; else the line is absent
///     removed: true                     where the node was told that it was removed; else the line is absent
///     peer.2: 16 hexadecimal digits     the incarnation of each peer that was met
///     checksum: 8 hexadecimal digits    CRC32C of all lines before
package struct NodeIdentity: Equatable, Sendable {
    /// The format of data directories that this version writes and reads.
    package static let format: UInt64 = 1

    /// The cluster.
    package var cluster: ClusterID
    /// The node.
    package var node: NodeID
    /// The life of this directory.
    package var incarnation: Incarnation
    /// Whether every member of the cluster met this incarnation, so that the node may vote and acknowledge.
    package var isFormed = false
    /// Whether it joined a cluster that existed, so that its configuration does not say which.
    package var isJoined = false
    /// Whether the cluster removed it: this life of the directory takes no part in it again.
    package var isRemoved = false
    /// The incarnations of the peers that were met.
    package var peers: [NodeID: Incarnation] = [:]

    /// The identity of a new directory.
    package init(cluster: ClusterID, node: NodeID, incarnation: Incarnation) {
        self.cluster = cluster
        self.node = node
        self.incarnation = incarnation
    }

    /// Why a file is not an identity.
    package struct Malformed: Error, Equatable, Sendable, CustomStringConvertible {
        /// What is wrong, with the line.
        package let description: String
    }

    /// The file's text.
    package var text: String {
        var text =
            "format: \(Self.format)\ncluster: \(cluster)\nnode: \(node)\nincarnation: \(incarnation)\nformed: \(isFormed)\n"
        if isJoined { text += "joined: true\n" }
        if isRemoved { text += "removed: true\n" }
        for (peer, incarnation) in peers.sorted(by: { $0.key < $1.key }) { text += "peer.\(peer): \(incarnation)\n" }
        return text + "checksum: \(Self.checksum(text))\n"
    }

    /// The identity that a text says.
    /// - Throws: `Malformed` where a line is missing, unknown, twice, or the checksum is another.
    package init(parsing bytes: [UInt8]) throws(Malformed) {
        guard let text = String(validating: bytes, as: UTF8.self), let mark = text.range(ofLast: "checksum: ") else {
            throw Malformed(description: "no checksum line")
        }
        let body = String(text[..<mark])
        guard text == body + "checksum: \(Self.checksum(body))\n" else {
            throw Malformed(description: "the checksum does not fit the lines before it")
        }
        var values: [String: String] = [:]
        for line in body.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), line[colon...].hasPrefix(": ") else {
                throw Malformed(description: "line '\(line)' is not 'key: value'")
            }
            let key = String(line[..<colon])
            guard values.updateValue(String(line[colon...].dropFirst(2)), forKey: key) == nil else {
                throw Malformed(description: "'\(key)' twice")
            }
        }
        guard values.removeValue(forKey: "format") == "\(Self.format)" else {
            throw Malformed(description: "another format than \(Self.format): use the version of kvnode that wrote it")
        }
        guard let cluster = values.removeValue(forKey: "cluster").flatMap({ ClusterID($0) }),
            let node = values.removeValue(forKey: "node").flatMap({ UInt64($0) }),
            let incarnation = values.removeValue(forKey: "incarnation").flatMap({ Incarnation($0) }),
            let formed = values.removeValue(forKey: "formed").flatMap({ Bool($0) })
        else { throw Malformed(description: "cluster, node, incarnation or formed is missing or wrong") }
        self.init(cluster: cluster, node: NodeID(node), incarnation: incarnation)
        isFormed = formed
        isJoined = try Self.takeFlag("joined", &values)
        isRemoved = try Self.takeFlag("removed", &values)
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            guard key.hasPrefix("peer."), let peer = UInt64(key.dropFirst(5)), let life = Incarnation(value) else {
                throw Malformed(description: "unknown line '\(key): \(value)'")
            }
            peers[NodeID(peer)] = life
        }
    }

    /// A line that is there only where it is true.
    private static func takeFlag(_ key: String, _ values: inout [String: String]) throws(Malformed) -> Bool {
        switch values.removeValue(forKey: key) {
        case nil: return false
        case "true": return true
        case let other?: throw Malformed(description: "'\(key): \(other)' is not '\(key): true'")
        }
    }

    private static func checksum(_ text: String) -> String {
        let digits = String(CRC32C.checksum(Array(text.utf8)), radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

extension String {
    /// Where the last line that starts with `prefix` begins.
    fileprivate func range(ofLast prefix: String) -> Index? {
        var place: Index?
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(prefix) { place = start }
            guard let end = self[start...].firstIndex(of: "\n") else { break }
            start = index(after: end)
        }
        return place
    }
}
