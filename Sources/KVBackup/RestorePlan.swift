package import KVBase
import KVReplication

/// What a backup is restored into: a new cluster with an id of its own, and where its members are.
///
///     format: 1
///     cluster: 32 hexadecimal digits                   drawn when the plan is made, so that no other cluster ever has it
///     member.1: 10.0.0.1:7400 /var/lib/kv              peer address and data directory of node 1
///
/// The same file serves on every host: the members' incarnations follow from the cluster's id.
package struct RestorePlan: Equatable, Sendable {
    /// A member of the new cluster.
    package struct Member: Equatable, Sendable {
        /// Where the others reach it.
        package var peer: String
        /// Where its data goes.
        package var directory: String

        /// A member at these places.
        package init(peer: String, directory: String) {
            self.peer = peer
            self.directory = directory
        }
    }

    /// The new cluster.
    package var cluster: ClusterID
    /// Its members.
    package var members: [NodeID: Member]

    /// A plan for these members.
    package init(cluster: ClusterID, members: [NodeID: Member]) {
        self.cluster = cluster
        self.members = members
    }

    /// The life of a member's data directory.
    package func incarnation(of node: NodeID) -> Incarnation {
        var hash = ContentHash()
        hash.add(cluster.high)
        hash.add(cluster.low)
        hash.add(node.rawValue)
        return Incarnation(hash.value | 1)
    }

    /// The file's text.
    package var text: String {
        var text = "format: 1\ncluster: \(cluster)\n"
        for (node, member) in members.sorted(by: { $0.key < $1.key }) {
            text += "member.\(node): \(member.peer) \(member.directory)\n"
        }
        return text
    }

    /// The plan that a text says; `#` begins a comment.
    /// - Throws: `usage` with the line that is wrong.
    package init(parsing text: String) throws(BackupError) {
        var values: [String: String] = [:]
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" }.split(separator: " ")
            guard let first = words.first else { continue }
            let value = words.dropFirst().joined(separator: " ")
            guard first.hasSuffix(":"), !value.isEmpty else {
                throw BackupError(.usage, "line \(number + 1) of the plan is not 'key: value'")
            }
            guard values.updateValue(value, forKey: String(first.dropLast())) == nil else {
                throw BackupError(.usage, "line \(number + 1) of the plan says '\(first.dropLast())' again")
            }
        }
        guard values.removeValue(forKey: "format") == "1" else {
            throw BackupError(.usage, "the plan does not begin with 'format: 1'")
        }
        guard let cluster = values.removeValue(forKey: "cluster").flatMap({ ClusterID($0) }) else {
            throw BackupError(.usage, "the plan names no cluster; 'kvctl snapshot plan' makes one with a new id")
        }
        self.cluster = cluster
        members = [:]
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            let words = value.split(separator: " ")
            guard key.hasPrefix("member."), let node = UInt64(key.dropFirst(7)), node > 0, words.count == 2 else {
                throw BackupError(.usage, "'\(key): \(value)' is no member; expected 'member.N: HOST:PORT DIRECTORY'")
            }
            members[NodeID(node)] = Member(peer: String(words[0]), directory: String(words[1]))
        }
        guard !members.isEmpty else { throw BackupError(.usage, "the plan names no member") }
        guard Set(members.values.map(\.directory)).count == members.count,
            Set(members.values.map(\.peer)).count == members.count
        else {
            throw BackupError(.usage, "two members of the plan have one data directory or peer address")
        }
    }
}
