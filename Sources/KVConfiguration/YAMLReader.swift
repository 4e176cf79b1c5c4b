import CLibYAML

/// Reads the subset of YAML that a configuration needs into nodes, each with its place: one document of mappings, lists
/// and scalars.
///
/// Anchors, aliases, tags, directives, further documents, keys that are not plain text and duplicate keys are problems.
///
/// 1. The bytes are checked as a whole: size, NUL, UTF-8.
/// 2. libyaml turns them into events; each event becomes a node or a problem.
/// 3. A syntax error ends the reading; every other problem is noted and reading goes on.
struct YAMLReader {
    /// The longest file that is read.
    static let fileBytesMax = 1024 * 1024
    /// How deep mappings and lists may nest: the schema needs four.
    static let depthMax = 16

    private let name: String
    private(set) var problems: [ConfigurationProblem] = []
    private var hasFailed = false

    /// A reader whose problems name the file `name`.
    init(name: String) {
        self.name = name
    }

    /// The document's root, or nil where it has none that can be used; `problems` says why.
    mutating func read(_ bytes: [UInt8]) -> YAMLNode? {
        guard check(bytes) else { return nil }
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            report(SourcePosition(line: 1, column: 1), "the file could not be read: no memory")
            return nil
        }
        defer { yaml_parser_delete(&parser) }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        return bytes.withUnsafeBufferPointer { buffer in
            // SAFETY: the parser reads the buffer only within this closure, and is never used after it.
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            return readStream(&parser)
        }
    }

    private mutating func check(_ bytes: [UInt8]) -> Bool {
        guard bytes.count <= Self.fileBytesMax else {
            report(
                SourcePosition(line: 1, column: 1),
                "the file has \(bytes.count) bytes; expected at most \(Self.fileBytesMax)"
            )
            return false
        }
        if let place = bytes.firstIndex(of: 0) {
            report(position(of: place, in: bytes), "a NUL byte; expected text in UTF-8")
            return false
        }
        guard String(validating: bytes, as: UTF8.self) == nil else { return true }
        // The longest valid prefix ends where decoding first has to repair.
        var place = 0
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): place += UTF8.width(scalar)
            case .emptyInput, .error: break decoding
            }
        }
        report(position(of: place, in: bytes), "bytes that are not UTF-8; expected text in UTF-8")
        return false
    }

    private func position(of offset: Int, in bytes: [UInt8]) -> SourcePosition {
        let before = bytes[..<offset]
        let line = before.lazy.filter { $0 == UInt8(ascii: "\n") }.count + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = bytes[start..<offset].lazy.filter { $0 & 0xc0 != 0x80 }.count + 1
        return SourcePosition(line: line, column: column)
    }

    private mutating func report(_ position: SourcePosition, _ message: String) {
        problems.append(ConfigurationProblem(origin: .file(name, position), message: message))
    }

    // MARK: Events

    private mutating func readStream(_ parser: inout yaml_parser_t) -> YAMLNode? {
        var root: YAMLNode?
        var documentCount = 0
        while let event = nextEvent(&parser) {
            switch event.kind {
            case .streamStart, .documentEnd:
                continue
            case .streamEnd:
                if documentCount == 0 { report(event.position, "the file is empty; expected a mapping of settings") }
                return root
            case .documentStart:
                documentCount += 1
                if documentCount > 1 { report(event.position, "a second document; expected one document a file") }
                if event.hasDirective { report(event.position, "a directive; expected none in a configuration") }
            default:
                let node = readNode(event, &parser, depth: 0)
                if root == nil { root = node }
            }
        }
        return nil
    }

    /// The node that begins with `event`, or nil where reading failed or the node is refused.
    private mutating func readNode(_ event: Event, _ parser: inout yaml_parser_t, depth: Int) -> YAMLNode? {
        if event.hasAnchor {
            report(event.position, "an anchor; expected the value itself (anchors and aliases are not taken)")
        }
        if event.hasTag { report(event.position, "a tag; expected the value itself (tags are not taken)") }
        guard depth <= Self.depthMax else {
            report(event.position, "nested deeper than \(Self.depthMax); expected at most four levels")
            hasFailed = true
            return nil
        }
        switch event.kind {
        case .scalar(let text, let isPlain):
            return YAMLNode(content: .scalar(text, isPlain: isPlain), position: event.position)
        case .sequenceStart:
            return readSequence(event, &parser, depth: depth)
        case .mappingStart:
            return readMapping(event, &parser, depth: depth)
        case .alias:
            report(event.position, "an alias; expected the value itself (anchors and aliases are not taken)")
            return nil
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd, .other:
            report(event.position, "a structure that is no value; expected a mapping, a list or a scalar")
            hasFailed = true
            return nil
        }
    }

    private mutating func readSequence(_ start: Event, _ parser: inout yaml_parser_t, depth: Int) -> YAMLNode? {
        var items: [YAMLNode] = []
        while !hasFailed, let event = nextEvent(&parser) {
            if case .sequenceEnd = event.kind {
                return YAMLNode(content: .sequence(items), position: start.position)
            }
            if let item = readNode(event, &parser, depth: depth + 1) { items.append(item) }
        }
        return nil
    }

    private mutating func readMapping(_ start: Event, _ parser: inout yaml_parser_t, depth: Int) -> YAMLNode? {
        var pairs: [YAMLNode.Pair] = []
        var seen: [String: SourcePosition] = [:]
        while !hasFailed, let event = nextEvent(&parser) {
            if case .mappingEnd = event.kind {
                return YAMLNode(content: .mapping(pairs), position: start.position)
            }
            let keyNode = readNode(event, &parser, depth: depth + 1)
            guard !hasFailed, let valueEvent = nextEvent(&parser) else { return nil }
            let value = readNode(valueEvent, &parser, depth: depth + 1)
            guard case .scalar(let key, _) = keyNode?.content else {
                if keyNode != nil { report(event.position, "a key that is a mapping or list; expected a name") }
                continue
            }
            if let first = seen[key] {
                report(
                    event.position,
                    "duplicate key \(quoted(key)); expected it once (first at line \(first.line), column \(first.column))"
                )
                continue
            }
            seen[key] = event.position
            if let value { pairs.append(YAMLNode.Pair(key: key, position: event.position, value: value)) }
        }
        return nil
    }

    // MARK: libyaml

    private struct Event {
        enum Kind {
            case streamStart
            case streamEnd
            case documentStart
            case documentEnd
            case alias
            case scalar(String, isPlain: Bool)
            case sequenceStart
            case sequenceEnd
            case mappingStart
            case mappingEnd
            case other
        }
        var kind: Kind
        let position: SourcePosition
        var hasAnchor = false
        var hasTag = false
        var hasDirective = false
    }

    /// The next event, or nil after a syntax error, which is reported.
    private mutating func nextEvent(_ parser: inout yaml_parser_t) -> Event? {
        guard !hasFailed else { return nil }
        var raw = yaml_event_t()
        guard yaml_parser_parse(&parser, &raw) == 1 else {
            reportSyntaxError(parser)
            hasFailed = true
            return nil
        }
        defer { yaml_event_delete(&raw) }
        var event = Event(
            kind: .other,
            position: SourcePosition(line: Int(raw.start_mark.line) + 1, column: Int(raw.start_mark.column) + 1)
        )
        switch raw.type {
        case YAML_STREAM_START_EVENT: event.kind = .streamStart
        case YAML_STREAM_END_EVENT: event.kind = .streamEnd
        case YAML_DOCUMENT_START_EVENT:
            event.kind = .documentStart
            let document = raw.data.document_start
            event.hasDirective =
                document.version_directive != nil || document.tag_directives.start != document.tag_directives.end
        case YAML_DOCUMENT_END_EVENT: event.kind = .documentEnd
        case YAML_ALIAS_EVENT: event.kind = .alias
        case YAML_SCALAR_EVENT:
            let scalar = raw.data.scalar
            // SAFETY: libyaml gives `length` bytes at `value`, alive until the event is deleted at the end of this call.
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            event.kind = .scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
            event.hasAnchor = scalar.anchor != nil
            event.hasTag = scalar.tag != nil
        case YAML_SEQUENCE_START_EVENT:
            event.kind = .sequenceStart
            event.hasAnchor = raw.data.sequence_start.anchor != nil
            event.hasTag = raw.data.sequence_start.tag != nil
        case YAML_SEQUENCE_END_EVENT: event.kind = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            event.kind = .mappingStart
            event.hasAnchor = raw.data.mapping_start.anchor != nil
            event.hasTag = raw.data.mapping_start.tag != nil
        case YAML_MAPPING_END_EVENT: event.kind = .mappingEnd
        default: event.kind = .other
        }
        return event
    }

    private mutating func reportSyntaxError(_ parser: yaml_parser_t) {
        // libyaml's texts are constants: "did not find expected key", "while parsing a block mapping".
        let what = parser.problem.map { String(cString: $0) } ?? "the text cannot be read"
        let context = parser.context.map { ", \(String(cString: $0))" } ?? ""
        let mark = parser.problem_mark
        report(
            SourcePosition(line: Int(mark.line) + 1, column: Int(mark.column) + 1),
            "not valid YAML: \(what)\(context); expected `key: value` lines with even indentation"
        )
    }
}
