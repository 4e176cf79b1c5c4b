import KVBase

extension Member {
    /// How many nodes a cluster may be set up with.
    static let countMax = 64

    /// What a variable or a flag says: `1=host:port,2=host:port`.
    static func parseList(_ text: String) -> Parsed<[Member]> {
        var members: [Member] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: "=") else {
                return .wrong("\(quoted(String(part))) is no node; expected id=host:port, …", nearest: nil)
            }
            guard let id = nodeID(String(part[..<equals])) else {
                return .wrong(
                    "\(quoted(String(part[..<equals]))) is no node id; expected a number from 1",
                    nearest: nil
                )
            }
            switch HostPort.parse(String(part[part.index(after: equals)...])) {
            case .right(let address): members.append(Member(id: id, peer: address))
            case .wrong(let what, let nearest): return .wrong(what, nearest: nearest)
            }
        }
        return .right(members)
    }

    /// The node id written as a decimal number from 1, below 2^63 so that every language's numbers hold it.
    static func nodeID(_ text: String) -> NodeID? {
        guard !text.isEmpty, text.utf8.allSatisfy(isDigit), let number = Int(text), number >= 1 else { return nil }
        return NodeID(UInt64(number))
    }
}
