import Foundation

/// Writes records as lines that `RecordReader` reads back to the same bytes.
public struct RecordWriter: Sendable {
    private let format: RecordFormat

    /// A writer of TSV or JSON lines; nil for CSV, which cannot say which bytes are no text.
    public init?(_ format: RecordFormat) {
        guard format != .csv else { return nil }
        self.format = format
    }

    /// Appends one record's line.
    ///
    /// JSON lines: `{"key":…,"value":…}`, where a text that is not UTF-8 comes in base64 as `key64` or `value64`, and
    /// `expiresAt` where the key expires. TSV: key and value; what is not UTF-8, or holds a tab or a line break, or itself starts with
    /// `base64:`, comes as `base64:…` (read with `decodesBase64`).
    public func append(_ row: ScanPage.Row, to out: inout [UInt8]) {
        switch format {
        case .tsv, .csv:
            Self.appendColumn(row.key, to: &out)
            out.append(UInt8(ascii: "\t"))
            Self.appendColumn(row.value, to: &out)
        case .jsonl:
            out.append(UInt8(ascii: "{"))
            Self.appendMember("key", row.key, to: &out)
            out.append(UInt8(ascii: ","))
            Self.appendMember("value", row.value, to: &out)
            if row.expiresAt > 0 { out += Array(",\"expiresAt\":\(row.expiresAt)".utf8) }
            out.append(UInt8(ascii: "}"))
        }
        out.append(lineFeed)
    }

    private static func appendColumn(_ bytes: [UInt8], to out: inout [UInt8]) {
        let isPlain =
            !bytes.contains { $0 == UInt8(ascii: "\t") || $0 == lineFeed || $0 == carriageReturn }
            && !bytes.starts(with: base64Mark) && !bytes.starts(with: byteOrderMark)
            && String(validating: bytes, as: UTF8.self) != nil
        if isPlain {
            out += bytes
        } else {
            out += base64Mark
            out += Data(bytes).base64EncodedData()
        }
    }

    private static func appendMember(_ name: String, _ bytes: [UInt8], to out: inout [UInt8]) {
        if String(validating: bytes, as: UTF8.self) != nil {
            out += Array("\"\(name)\":\"".utf8)
            appendEscaped(bytes, to: &out)
        } else {
            out += Array("\"\(name)64\":\"".utf8)
            out += Data(bytes).base64EncodedData()
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func appendEscaped(_ bytes: [UInt8], to out: inout [UInt8]) {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case lineFeed: out += Array("\\n".utf8)
            case carriageReturn: out += Array("\\r".utf8)
            case UInt8(ascii: "\t"): out += Array("\\t".utf8)
            case 0..<0x10: out += Array("\\u000\(String(byte, radix: 16))".utf8)
            case 0x10..<0x20: out += Array("\\u00\(String(byte, radix: 16))".utf8)
            default: out.append(byte)
            }
        }
    }
}
