import Foundation

/// How far an import came, kept in a file beside the one it reads.
struct ImportJournal: Codable, Equatable {
    /// The layout of this file.
    var version = 1
    /// How many records, from the first on, are settled: acknowledged, but for those in `refused`.
    var records: UInt64
    /// The line of the last of them.
    var line: UInt64
    /// The chained checksum of their keys and values, so that another file is not taken for this one.
    var checksum: UInt32
    /// The ordinals of settled records that a node refused; a resumed import sends them again.
    var refused: [UInt64]

    /// Reads a journal; nil where there is none.
    static func read(_ path: String) throws(ImportError) -> ImportJournal? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            let journal = try JSONDecoder().decode(
                ImportJournal.self,
                from: Data(contentsOf: URL(fileURLWithPath: path))
            )
            guard journal.version == 1, journal.refused.allSatisfy({ $0 < journal.records }),
                journal.refused.count <= ClientLimits.importRejectedMax
            else { throw ImportError.badState(path: path, what: "it is of another version or contradicts itself") }
            return journal
        } catch let error as ImportError {
            throw error
        } catch {
            throw .badState(path: path, what: "\(error)")
        }
    }

    /// Writes it, synced, in place of what was there.
    func write(_ path: String) throws(ImportError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        do {
            try replaceFile(path, with: Array(encoder.encode(self)) + [lineFeed], synced: true)
        } catch {
            throw .cannotWrite(path: path, what: "\(error)")
        }
    }
}

/// Writes a file under another name and renames it, so that a reader sees the old bytes or the new ones, never half.
func replaceFile(_ path: String, with bytes: [UInt8], synced: Bool) throws {
    let temporary = path + ".new"
    guard FileManager.default.createFile(atPath: temporary, contents: nil) else {
        throw CocoaError(.fileWriteNoPermission)
    }
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: temporary))
    try handle.write(contentsOf: Data(bytes))
    if synced { try handle.synchronize() }
    try handle.close()
    guard rename(temporary, path) == 0 else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
    guard synced else { return }
    let folder = (path as NSString).deletingLastPathComponent
    // The name is durable only once the folder is.
    let directory = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.isEmpty ? "." : folder))
    try directory.synchronize()
    try directory.close()
}
