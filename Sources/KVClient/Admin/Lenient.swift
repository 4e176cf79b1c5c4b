// Answers of nodes of other versions are read as far as they are understood: a missing field has its empty value, a number may
// come as text and text as a number.

/// The name of a JSON member.
struct MemberName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init(_ name: String) { stringValue = name }
    init?(intValue: Int) { nil }
}

extension KeyedDecodingContainer<MemberName> {
    func text(_ name: String) -> String? {
        // Each form is tried; a member that has none of them counts as missing.
        if let text = try? decode(String.self, forKey: MemberName(name)) { return text }
        if let number = try? decode(UInt64.self, forKey: MemberName(name)) { return String(number) }
        return nil
    }

    func number(_ name: String) -> UInt64 {
        // As above.
        if let number = try? decode(UInt64.self, forKey: MemberName(name)) { return number }
        return (try? decode(String.self, forKey: MemberName(name))).flatMap { UInt64($0) } ?? 0
    }

    func flag(_ name: String) -> Bool {
        // As above.
        (try? decode(Bool.self, forKey: MemberName(name))) ?? false
    }

    func list<T: Decodable>(_ name: String, of: T.Type = T.self) throws -> [T] {
        try decodeIfPresent([T].self, forKey: MemberName(name)) ?? []
    }
}

/// A list element or map value that is text or a number.
struct LooseText: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(UInt64.self) {
            text = String(number)
        } else {
            text = try container.decode(String.self)
        }
    }
}
