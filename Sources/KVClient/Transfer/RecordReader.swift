import Foundation

/// Reads a file's records, piece by piece, in constant memory: feed a piece, take records until there are none, feed the next.
public struct RecordReader {
    private let specification: RecordSpecification
    private var parser: DelimitedParser
    private var names: [String: Int] = [:]
    private var isHeaderRead: Bool
    private var nextOrdinal: UInt64 = 0
    /// Where the key's and the value's columns are, once the header is known; JSON looks up by name.
    private var keyPlaces: [Int] = []

    /// A reader at the start of a file.
    public init(_ specification: RecordSpecification) {
        self.init(specification, recordBytesMax: ClientLimits.recordBytesMax)
    }

    init(_ specification: RecordSpecification, recordBytesMax: Int) {
        self.specification = specification
        parser =
            switch specification.format {
            case .tsv:
                DelimitedParser(
                    delimiter: UInt8(ascii: "\t"),
                    quote: nil,
                    comment: specification.comment,
                    bytesMax: recordBytesMax
                )
            case .csv:
                DelimitedParser(
                    delimiter: UInt8(ascii: ","),
                    quote: UInt8(ascii: "\""),
                    comment: specification.comment,
                    bytesMax: recordBytesMax
                )
            // A line is one column: no byte but the line feed ends one.
            case .jsonl:
                DelimitedParser(delimiter: lineFeed, quote: nil, comment: nil, bytesMax: recordBytesMax)
            }
        isHeaderRead = !specification.hasHeader || specification.format == .jsonl
    }

    /// Gives the next piece of the file.
    ///
    /// Everything before it must have been taken.
    public mutating func feed(_ piece: [UInt8]) {
        parser.feed(piece)
    }

    /// Says that the file ends here.
    public mutating func finish() {
        parser.finish()
    }

    /// The next record; nil where more bytes are needed, or none follow.
    /// - Throws: `RecordError`, with the line; the reader cannot go on after it.
    public mutating func next() throws(RecordError) -> Record? {
        while try parser.next() {
            if !isHeaderRead {
                isHeaderRead = true
                readHeader()
                continue
            }
            let (key, value) = try specification.format == .jsonl ? fromJSON() : fromColumns()
            defer { nextOrdinal += 1 }
            return Record(ordinal: nextOrdinal, line: parser.line, key: key, value: value)
        }
        return nil
    }

    // MARK: Columns

    private mutating func readHeader() {
        for index in 0..<parser.count {
            let name = String(decoding: parser.column(index), as: UTF8.self)
            if names[name] == nil { names[name] = index }
        }
    }

    private func place(_ column: Column) throws(RecordError) -> Int {
        let index: Int? =
            switch column {
            case .number(let number): names[String(number)] ?? number - 1
            case .name(let name): names[name]
            case .whole: nil
            }
        guard let index, index < parser.count else {
            throw .missingColumn(line: parser.line, column: column.description, columns: parser.count)
        }
        return index
    }

    private mutating func fromColumns() throws(RecordError) -> ([UInt8], [UInt8]) {
        keyPlaces.removeAll(keepingCapacity: true)
        var key: [UInt8] = []
        for (index, column) in specification.keyColumns.enumerated() {
            if index > 0 { key += specification.keySeparator }
            guard column != .whole else {
                key += wholeRecord()
                continue
            }
            let place = try place(column)
            keyPlaces.append(place)
            try append(place, column, to: &key)
        }
        var value: [UInt8] = []
        switch specification.valueColumn {
        case .whole?: value = wholeRecord()
        case let column?: try append(try place(column), column, to: &value)
        case nil:
            let left = (0..<parser.count).filter { !keyPlaces.contains($0) }
            guard left.count == 1, let only = left.first else {
                throw .ambiguousValue(line: parser.line, columns: left.count)
            }
            try append(only, .number(only + 1), to: &value)
        }
        return (key, value)
    }

    private func append(_ place: Int, _ column: Column, to bytes: inout [UInt8]) throws(RecordError) {
        let field = parser.column(place)
        guard specification.decodesBase64, field.starts(with: base64Mark) else {
            bytes += field
            return
        }
        guard let data = Data(base64Encoded: Data(field.dropFirst(base64Mark.count))) else {
            throw .badBase64(line: parser.line, column: column.description)
        }
        bytes += data
    }

    private func wholeRecord() -> [UInt8] {
        let delimiter = UInt8(ascii: specification.format == .csv ? "," : "\t")
        return Array((0..<parser.count).map { parser.column($0) }.joined(separator: [delimiter]))
    }

    // MARK: JSON

    private func fromJSON() throws(RecordError) -> ([UInt8], [UInt8]) {
        let members: [String: JSONLineScanner.Member]
        do throws(JSONLineScanner.Failure) {
            members = try JSONLineScanner.members(of: parser.column(0))
        } catch {
            throw .badJSON(line: parser.line, what: error.what)
        }
        var key: [UInt8] = []
        for (index, column) in specification.keyColumns.enumerated() {
            if index > 0 { key += specification.keySeparator }
            key += try bytes(column, members)
        }
        return (key, try bytes(specification.valueColumn ?? .name("value"), members))
    }

    /// A member's bytes: a string's text, anything else as written.
    ///
    /// A member that is missing is looked for under its name with `64` behind, in base64, as `export` writes what is
    /// not text.
    private func bytes(_ column: Column, _ members: [String: JSONLineScanner.Member]) throws(RecordError) -> [UInt8] {
        guard column != .whole else { return Array(parser.column(0)) }
        let name = column.description
        switch members[name] {
        case .string(let text)?: return text
        case .raw(let text)?: return text
        case nil: break
        }
        guard case .string(let text)? = members[name + "64"] else {
            throw .missingColumn(line: parser.line, column: name, columns: members.count)
        }
        guard let data = Data(base64Encoded: Data(text)) else {
            throw .badBase64(line: parser.line, column: name + "64")
        }
        return Array(data)
    }
}

/// What stands before a column of TSV that is base64.
let base64Mark = Array("base64:".utf8)
