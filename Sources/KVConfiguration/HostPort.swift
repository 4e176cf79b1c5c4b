/// A host (name, IPv4 or IPv6 address) and a port, written `host:port` or `[IPv6]:port`.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// The host without brackets.
    package let host: String
    /// The port; 0 lets the system choose one where something listens.
    package let port: Int

    /// The address with these parts.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// As it is written, IPv6 in brackets.
    package var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether it stands for every address of the machine.
    package var isWildcard: Bool {
        if host == "0.0.0.0" { return true }
        return host.utf8.contains(UInt8(ascii: ":"))
            && host.utf8.allSatisfy { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "0") }
    }

    /// Whether only this machine can reach it.
    ///
    /// A name other than `localhost` is taken as reachable from outside.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && isIPv4(Substring(host)))
    }

    /// What `text` says, or why it is no address.
    static func parse(_ text: String) -> Parsed<HostPort> {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else {
            return .wrong("\(quoted(text)) has no port; expected host:port", nearest: nil)
        }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy(isDigit), let port = Int(digits),
            port <= 65_535
        else {
            return .wrong("\(quoted(String(digits))) is no port; expected a number from 0 to 65535", nearest: nil)
        }
        var host = text[..<colon]
        if host.utf8.first == UInt8(ascii: "[") && host.utf8.last == UInt8(ascii: "]") {
            host = host.dropFirst().dropLast()
            guard isIPv6(host) else {
                return .wrong(
                    "\(quoted(String(host))) is no IPv6 address; expected one such as [::1]:\(port)",
                    nearest: nil
                )
            }
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            return .wrong(
                "\(quoted(text)) is not host:port; expected an IPv6 address in brackets",
                nearest: isIPv6(host) ? "\"[\(host)]:\(port)\"" : nil
            )
        } else if !isIPv4(host) && !isHostName(host) {
            return .wrong("\(quoted(String(host))) is no host; expected a host name or an IP address", nearest: nil)
        }
        return .right(HostPort(host: String(host), port: port))
    }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

private func isHexadecimal(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f"))
}

private func isIPv4(_ text: Substring) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
        && parts.allSatisfy { (1...3).contains($0.utf8.count) && $0.utf8.allSatisfy(isDigit) && Int($0) ?? 256 <= 255 }
}

/// RFC 4291, 2.2; with an optional `%zone`.
private func isIPv6(_ text: Substring) -> Bool {
    let zoned = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = zoned.first, zoned.count == 1 || !zoned[1].isEmpty else { return false }
    let pieces = address.split(separator: ":", omittingEmptySubsequences: false)
    guard (3...9).contains(pieces.count) else { return false }
    // Empty pieces come from one "::" only: one in the middle, or two at an end.
    var groups = 0
    var gaps = 0
    for (place, piece) in pieces.enumerated() {
        let isLast = place == pieces.count - 1
        if piece.isEmpty {
            let isEdge = (place == 0 && pieces[1].isEmpty) || (isLast && pieces[place - 1].isEmpty)
            if !isEdge { gaps += 1 }
            if (place == 0 && !pieces[1].isEmpty) || (isLast && !pieces[place - 1].isEmpty) { return false }
        } else if isLast && isIPv4(piece) {
            groups += 2
        } else if piece.utf8.count <= 4 && piece.utf8.allSatisfy(isHexadecimal) {
            groups += 1
        } else {
            return false
        }
    }
    return gaps == 0 ? groups == 8 : gaps == 1 && groups < 8
}

/// RFC 1123, 2.1, underscores allowed as container networks use them; at least one letter, so that 1.2.3 is no name.
private func isHostName(_ text: Substring) -> Bool {
    guard (1...253).contains(text.utf8.count), text.utf8.contains(where: { !isDigit($0) && $0 != UInt8(ascii: ".") })
    else {
        return false
    }
    return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
        (1...63).contains(label.utf8.count) && label.utf8.first != UInt8(ascii: "-")
            && label.utf8.last != UInt8(ascii: "-")
            && label.utf8.allSatisfy {
                isDigit($0) || ($0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z"))
                    || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            }
    }
}
