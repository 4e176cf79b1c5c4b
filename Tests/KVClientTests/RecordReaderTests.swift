import Testing

@testable import KVClient

struct RecordReaderTests {
    /// Reads everything, in pieces of `size` bytes.
    static func read(
        _ text: [UInt8],
        _ specification: RecordSpecification,
        pieces size: Int = .max,
        bytesMax: Int = 1 << 20
    ) throws -> [Record] {
        var reader = RecordReader(specification, recordBytesMax: bytesMax)
        var records: [Record] = []
        var rest = text[...]
        while !rest.isEmpty {
            reader.feed(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let record = try reader.next() { records.append(record) }
        }
        reader.finish()
        while let record = try reader.next() { records.append(record) }
        return records
    }

    static let tsv = RecordSpecification(format: .tsv, keyColumns: [.number(1)])
    static let csv = RecordSpecification(format: .csv, keyColumns: [.number(1)])
    static let jsonl = RecordSpecification(format: .jsonl, keyColumns: [.name("key")])

    static let files: [(RecordSpecification, String, [String])] = [
        (tsv, "a\t1\nb\t2\n", ["1 a=1", "2 b=2"]),
        (tsv, "a\t1\r\nb\t2\r\n", ["1 a=1", "2 b=2"]),
        (tsv, "\u{feff}a\t1", ["1 a=1"]),
        (tsv, "\n\r\na\t\n\n", ["3 a="]),
        (tsv, "a\t\"x\"\n", ["1 a=\"x\""]),
        (tsv, "a\tx\ry\n", ["1 a=x\ry"]),
        (tsv, "a\tx\r\r\n", ["1 a=x\r"]),
        (tsv, "", []),
        (tsv, "\u{feff}", []),
        (csv, "a,1\nb,\"2\"\n", ["1 a=1", "2 b=2"]),
        (csv, "a,\"x\r\ny\"\r\nb,\"\"\"q\"\"\"\n", ["1 a=x\r\ny", "3 b=\"q\""]),
        (csv, "\"\",\"\"\n", ["1 ="]),
        (csv, "\"a,b\",c", ["1 a,b=c"]),
        (csv, "a,x\"y\"\n", ["1 a=x\"y\""]),
        (
            RecordSpecification(
                format: .tsv,
                keyColumns: [.number(1), .number(2)],
                valueColumn: .number(3),
                comment: UInt8(ascii: "#")
            ),
            "# head\n\nU+3400\tkMandarin\tqiū\n#\tx\ty\nU+3401\tkDef\t# no comment\n",
            ["3 U+3400/kMandarin=qiū", "5 U+3401/kDef=# no comment"]
        ),
        (
            RecordSpecification(
                format: .csv,
                keyColumns: [.name("id")],
                valueColumn: .name("name"),
                hasHeader: true
            ),
            "name,id\nAda,1\n", ["2 1=Ada"]
        ),
        (
            RecordSpecification(format: .csv, keyColumns: [.number(2)], valueColumn: .whole), "x,y,z\n", ["1 y=x,y,z"]
        ),
        (jsonl, "{\"key\":\"a\",\"value\":\"1\"}\n", ["1 a=1"]),
        (
            jsonl, "{\"value\": {\"b\":[1.0,null,\"]\"]} , \"key\":\"\\u00e9\\ud83d\\ude00\\n\"}\r\n",
            ["1 é😀\n={\"b\":[1.0,null,\"]\"]}"]
        ),
        (jsonl, "{\"key64\":\"YQ==\",\"value64\":\"Yg==\"}", ["1 a=b"]),
        (jsonl, "{\"key\":1,\"value\":true,\"key\":2}", ["1 2=true"]),
        (
            RecordSpecification(format: .jsonl, keyColumns: [.name("id")], valueColumn: .whole), "\n{\"id\":7}\n",
            ["2 7={\"id\":7}"]
        ),
        (
            RecordSpecification(format: .tsv, keyColumns: [.number(1)], decodesBase64: true), "base64:YQ==\tbase64:\n",
            ["1 a="]
        ),
    ]

    @Test(arguments: files)
    func `a file gives its records, whatever the pieces it comes in`(
        _ specification: RecordSpecification,
        _ text: String,
        _ expected: [String]
    ) throws {
        for size in [1, 2, 3, 5, Int.max] {
            let records = try Self.read(bytes(text), specification, pieces: size)
            let shown = records.map {
                "\($0.line) \(String(decoding: $0.key, as: UTF8.self))=\(String(decoding: $0.value, as: UTF8.self))"
            }
            #expect(shown == expected, "in pieces of \(size)")
            #expect(records.map(\.ordinal) == Array(0..<UInt64(records.count)))
        }
    }

    @Test func `keys and values of TSV are bytes, not text`() throws {
        let records = try Self.read([0xff, 0, 0x80, 9, 0xc3, 10], Self.tsv)
        #expect(records == [Record(ordinal: 0, line: 1, key: [0xff, 0, 0x80], value: [0xc3])])
    }

    @Test(arguments: [
        (tsv, "a\t1\nb\n", RecordError.ambiguousValue(line: 2, columns: 0)),
        (tsv, "a\t1\t2\n", .ambiguousValue(line: 1, columns: 2)),
        (
            RecordSpecification(format: .tsv, keyColumns: [.number(3)]), "\na\tb\n",
            .missingColumn(line: 2, column: "3", columns: 2)
        ),
        (
            RecordSpecification(format: .csv, keyColumns: [.name("id")], hasHeader: true), "a,b\n1,2\n",
            .missingColumn(line: 2, column: "id", columns: 2)
        ),
        (csv, "a,1\nb,\"never\nclosed\n", .unclosedQuote(line: 2)),
        (csv, "a,\"1\"x\n", .textAfterQuote(line: 1)),
        (csv, "a,\"1\"\rx\n", .textAfterQuote(line: 1)),
        (jsonl, "\n[1]\n", .badJSON(line: 2, what: "'[' at column 1 where '{' should be")),
        (jsonl, "{\"key\":\"a\"}\n", .missingColumn(line: 1, column: "value", columns: 1)),
        (jsonl, "{\"key\":\"a\",\"value\":nul}\n", .badJSON(line: 1, what: "'n' at column 20 where a value should be")),
        (jsonl, "{\"key\":\"\\ud800\"}\n", .badJSON(line: 1, what: "half a surrogate pair")),
        (jsonl, "{\"key\":\"a\"", .badJSON(line: 1, what: "the line ends where '}' should be")),
        (jsonl, "{\"key64\":\"?\",\"value\":1}\n", .badBase64(line: 1, column: "key64")),
        (
            RecordSpecification(format: .jsonl, keyColumns: [.name("key")]),
            "{\"key\":" + String(repeating: "[", count: 100) + "\n", .badJSON(line: 1, what: "nested deeper than 64")
        ),
    ])
    func `a bad record is an error with its line`(
        _ specification: RecordSpecification,
        _ text: String,
        _ expected: RecordError
    ) {
        for size in [1, Int.max] {
            #expect(throws: expected) { try Self.read(bytes(text), specification, pieces: size) }
        }
    }

    @Test func `a record over the limit is refused while it is read`() {
        #expect(throws: RecordError.tooLong(line: 2, bytesMax: 10)) {
            try Self.read(bytes("a\tb\n" + String(repeating: "x", count: 11)), Self.tsv, bytesMax: 10)
        }
    }

    @Test func `invalid UTF-8 in JSON is an error`() {
        #expect(throws: RecordError.badJSON(line: 1, what: "invalid UTF-8")) {
            try Self.read([UInt8(ascii: "{"), 0xff, UInt8(ascii: "}")], Self.jsonl)
        }
    }

    @Test(arguments: [RecordFormat.jsonl, .tsv])
    func `what is exported reads back to the same bytes`(_ format: RecordFormat) throws {
        let writer = try #require(RecordWriter(format))
        let values: [[UInt8]] = [
            [], bytes("plain"), bytes("a\tb\r\n\"\\\u{1}\u{1f}é😀"), [0xff, 0xfe], bytes("base64:x"),
            byteOrderMark + [65], Array(0...255),
        ]
        var rows: [ScanPage.Row] = []
        for key in values { for value in values { rows.append(.init(key: key, value: value)) } }
        var out: [UInt8] = []
        for row in rows { writer.append(row, to: &out) }
        let specification =
            format == .tsv
            ? RecordSpecification(format: .tsv, keyColumns: [.number(1)], valueColumn: .number(2), decodesBase64: true)
            : Self.jsonl
        let records = try Self.read(out, specification)
        #expect(records.map(\.key) == rows.map(\.key))
        #expect(records.map(\.value) == rows.map(\.value))
    }
}
