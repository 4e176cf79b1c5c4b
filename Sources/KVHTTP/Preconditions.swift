import HTTPTypes
import KVService

/// The entity tag of a version.
func entityTag(_ version: UInt64) -> String { "\"\(version)\"" }

/// What `If-Match` and `If-None-Match` ask of a write.
/// - Throws: 400 for a tag that is no version, or both at once.
func condition(_ headers: HTTPFields) throws(HTTPFailure) -> Condition {
    let match = headers[.ifMatch]
    let noneMatch = headers[.ifNoneMatch]
    if let match {
        guard noneMatch == nil else { throw .badRequest("If-Match and If-None-Match exclude each other") }
        if match == "*" { return .present }
        guard let version = version(match) else {
            throw .badRequest("If-Match is '\(match)'; it is one version in quotes, as ETag gave it, or *")
        }
        return .version(version)
    }
    guard let noneMatch else { return .none }
    guard noneMatch == "*" else { throw .badRequest("If-None-Match is '\(noneMatch)'; for a write it is *") }
    return .absent
}

/// The version in an entity tag, or nil.
func version(_ tag: String) -> UInt64? {
    guard tag.count > 2, tag.hasPrefix("\""), tag.hasSuffix("\"") else { return nil }
    let digits = tag.dropFirst().dropLast()
    guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return nil }
    return UInt64(digits)
}

/// How fresh a read must be.
func consistency(_ target: Target) throws(HTTPFailure) -> Consistency {
    switch target.text("consistency") {
    case nil, "linearizable": return .linearizable
    case "lease": return .lease
    case "stale": return .stale
    case let other?: throw .badRequest("'consistency' is '\(other)'; it is linearizable, lease or stale")
    }
}

/// `?ttl=30s`: a whole number and `ms`, `s`, `m`, `h` or `d`, more than nothing.
func expiry(_ target: Target) throws(HTTPFailure) -> Expiry {
    guard let text = target.text("ttl") else { return .none }
    return try duration(text, named: "'ttl'")
}

/// The moment so long after now.
func duration(_ text: String, named name: String) throws(HTTPFailure) -> Expiry {
    let units: [(String, UInt64)] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
    for (unit, factor) in units where text.hasSuffix(unit) {
        guard let count = UInt64(text.dropLast(unit.count)) else { continue }
        let (milliseconds, overflowed) = count.multipliedReportingOverflow(by: factor)
        // A thousand years: what is added to the present time must stay far from 64 bits.
        guard milliseconds > 0, !overflowed, milliseconds <= 31_557_600_000_000 else { break }
        return .after(milliseconds: milliseconds)
    }
    throw .badRequest("\(name) is '\(text)'; it is a whole number above 0 with ms, s, m, h or d, such as 30s")
}
