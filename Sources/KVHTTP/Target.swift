/// A request's target, taken apart by hand: keys are bytes, percent-decoded once, and may hold encoded and plain slashes.
struct Target {
    /// The path as it was sent.
    let path: Substring
    /// A value is nil where there is no `=`.
    private let parameters: [(name: String, value: [UInt8]?)]

    /// - Throws: 400 for characters that must be percent-encoded, a bad escape in the query, or a parameter given twice.
    init(_ raw: String) throws(HTTPFailure) {
        guard raw.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw .badRequest("the request target has bytes that must be percent-encoded")
        }
        var rest = Substring(raw)
        // The absolute form, as proxies send it: the authority is of no interest here.
        for scheme in ["http://", "https://"] where rest.lowercased().hasPrefix(scheme) {
            let authority = rest.dropFirst(scheme.count)
            rest = authority[(authority.firstIndex(of: "/") ?? authority.endIndex)...]
        }
        if let end = rest.firstIndex(of: "#") { rest = rest[..<end] }
        let mark = rest.firstIndex(of: "?") ?? rest.endIndex
        path = rest[..<mark]
        var parameters: [(name: String, value: [UInt8]?)] = []
        for part in rest[mark...].dropFirst().split(separator: "&") {
            let equals = part.firstIndex(of: "=") ?? part.endIndex
            guard let name = percentDecoded(part[..<equals].utf8, plusIsSpace: true),
                let value = percentDecoded(part[equals...].dropFirst().utf8, plusIsSpace: true)
            else { throw .badRequest("a bad percent escape in the query: '\(part)'") }
            let text = String(decoding: name, as: UTF8.self)
            guard !parameters.contains(where: { $0.name == text }) else {
                throw .badRequest("the parameter '\(text)' is given twice")
            }
            parameters.append((text, equals == part.endIndex ? nil : value))
        }
        self.parameters = parameters
    }

    /// A parameter's bytes.
    func bytes(_ name: String) -> [UInt8]? {
        parameters.first { $0.name == name }.map { $0.value ?? [] }
    }

    /// A parameter as text.
    func text(_ name: String) -> String? {
        bytes(name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// A parameter as a switch; its bare name, without `=`, turns it on.
    func flag(_ name: String) throws(HTTPFailure) -> Bool {
        guard let parameter = parameters.first(where: { $0.name == name }) else { return false }
        guard let value = parameter.value else { return true }
        switch String(decoding: value, as: UTF8.self) {
        case "false", "0": return false
        case "true", "1": return true
        case let other: throw .badRequest("'\(name)' is '\(other)'; it is true or false")
        }
    }

    /// Refuses parameters that the route does not know: a misspelt condition must not be ignored.
    func check(_ known: Set<String>) throws(HTTPFailure) {
        for parameter in parameters where !known.contains(parameter.name) && parameter.name != "redirect" {
            let names = known.sorted().joined(separator: ", ")
            throw .badRequest("unknown parameter '\(parameter.name)'; known are: \(names.isEmpty ? "none" : names)")
        }
    }
}

/// Bytes with `%HH` replaced, once; nil for an escape that is none.
func percentDecoded(_ text: some Sequence<UInt8>, plusIsSpace: Bool = false) -> [UInt8]? {
    var bytes: [UInt8] = []
    var iterator = text.makeIterator()
    while let byte = iterator.next() {
        if byte == UInt8(ascii: "%") {
            guard let high = iterator.next().flatMap(hexDigit), let low = iterator.next().flatMap(hexDigit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        } else {
            bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
        }
    }
    return bytes
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
