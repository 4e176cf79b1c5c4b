/// Whether all nodes hold the same.
public struct DigestComparison: Sendable, Equatable {
    /// What differs; empty where all nodes answered and hold the same at the same applied index.
    public let differences: [String]
    /// How many keys each node holds, in the order of the answers; nil where it did not answer.
    public let keysByNode: [UInt64?]

    /// Whether nothing differs.
    public var areEqual: Bool { differences.isEmpty }
    /// How many keys the first node that answered holds.
    public var keys: UInt64 { keysByNode.lazy.compactMap { $0 }.first ?? 0 }

    private struct Place: Hashable {
        let group: String
        let shard: String
    }

    /// Compares the answers shard by shard.
    public init(_ answers: [NodeAnswer<[ShardDigest]>]) {
        var differences: [String] = []
        var byShard: [Place: [(Endpoint, ShardDigest)]] = [:]
        var keysByNode: [UInt64?] = []
        var answered = 0
        for answer in answers {
            switch answer.result {
            case .failure(let error):
                differences.append("\(answer.endpoint) does not answer: \(error)")
                keysByNode.append(nil)
            case .success(let digests):
                answered += 1
                keysByNode.append(digests.reduce(0) { $0 &+ $1.keys })
                for digest in digests {
                    byShard[Place(group: digest.group, shard: digest.shard), default: []].append(
                        (answer.endpoint, digest)
                    )
                }
            }
        }
        if answered > 0, byShard.isEmpty { differences.append("no node holds a shard") }
        let order = byShard.keys.sorted { (UInt64($0.shard) ?? .max, $0.group) < (UInt64($1.shard) ?? .max, $1.group) }
        for place in order {
            let digests = byShard[place] ?? []
            guard let (first, expected) = digests.first else { continue }
            if digests.count < answered {
                differences.append("shard \(place.shard): only \(digests.count) of \(answered) nodes hold it")
            }
            for (endpoint, digest) in digests.dropFirst() {
                if digest.appliedIndex != expected.appliedIndex {
                    differences.append(
                        "shard \(place.shard): \(first) is at \(expected.appliedIndex), \(endpoint) at \(digest.appliedIndex)"
                    )
                } else if digest.keys != expected.keys || digest.hash != expected.hash {
                    differences.append(
                        "shard \(place.shard): \(first) has \(expected.keys) keys \(expected.hash), "
                            + "\(endpoint) \(digest.keys) keys \(digest.hash)"
                    )
                }
            }
        }
        self.differences = differences
        self.keysByNode = keysByNode
    }
}
