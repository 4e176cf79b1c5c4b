/// A node of a YAML document, and where it stands.
struct YAMLNode: Equatable, Sendable {
    /// One key of a mapping with its value.
    struct Pair: Equatable, Sendable {
        let key: String
        let position: SourcePosition
        let value: YAMLNode
    }

    enum Content: Equatable, Sendable {
        /// A text; plain ones may be numbers and booleans, quoted ones may not.
        case scalar(String, isPlain: Bool)
        case mapping([Pair])
        case sequence([YAMLNode])
    }

    let content: Content
    let position: SourcePosition

    /// What it is, as an error says it.
    var kindName: String {
        switch content {
        case .scalar("", true), .scalar("null", true), .scalar("~", true): "nothing"
        case .scalar(let text, true): quoted(text)
        case .scalar(let text, false): "the text \(quoted(text))"
        case .mapping: "a mapping"
        case .sequence: "a list"
        }
    }
}
