import Foundation
import KVBase

/// The form of a backup's own small files: a JSON object on one line, and a line with its checksum.
enum ChecksummedJSON {
    static func encode<Value: Encodable>(_ value: Value) throws(BackupError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            let line = Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
            return line + Array("crc32c \(digits(CRC32C.checksum(line)))\n".utf8)
        } catch {
            throw BackupError(.usage, "\(Value.self) cannot be written: \(error)")
        }
    }

    /// The value of a file of this format.
    /// - Throws: `damage` where the bytes are not what was written, `usage` for another format.
    static func decode<Value: Decodable>(_ bytes: [UInt8], format: Int, _ path: String) throws(BackupError) -> Value {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            throw BackupError(.damage, "\(path) is cut short: it has no whole line")
        }
        let line = Array(bytes[...end])
        guard Array(bytes[(end + 1)...]) == Array("crc32c \(digits(CRC32C.checksum(line)))\n".utf8) else {
            throw BackupError(.damage, "\(path) does not fit its checksum: it is damaged or cut short")
        }
        do {
            let version = try JSONDecoder().decode(Version.self, from: Data(line)).format
            guard version == format else {
                throw BackupError(.usage, "\(path) has format \(version); this version reads \(format)")
            }
            return try JSONDecoder().decode(Value.self, from: Data(line))
        } catch let error as BackupError {
            throw error
        } catch {
            throw BackupError(.damage, "\(path) is not what a backup has there: \(error)")
        }
    }

    private struct Version: Decodable {
        let format: Int
    }

    private static func digits(_ checksum: UInt32) -> String {
        let text = String(checksum, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }
}

/// A time in milliseconds since 1970, as RFC 3339 in UTC.
package func backupTimeText(_ milliseconds: UInt64) -> String {
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    return formatter.string(from: Date(timeIntervalSince1970: Double(milliseconds) / 1_000))
}
