import KVBase
import KVEnvironment

/// Which files of entries were saved behind a backup: `log.json` in its folder. docs/formats/backup.md
///
/// What it does not name is no part of the backup, and what it names has to be there.
package struct BackupLogIndex: Codable, Equatable, Sendable {
    /// A file of a group's entries.
    package struct File: Codable, Equatable, Sendable {
        /// Its name in the folder `log`.
        package var name: String
        /// The group.
        package var group: UInt32
        /// The first index in it.
        package var first: UInt64
        /// The last index in it.
        package var last: UInt64
        /// The latest time of its entries, in milliseconds since 1970.
        package var timeMs: UInt64
        /// Its size in bytes.
        package var size: UInt64
        /// The CRC32C of all its bytes.
        package var crc32c: UInt32
    }

    static let formatNumber = 1
    /// The file.
    package static let fileName = "log.json"

    /// The format.
    package var format = BackupLogIndex.formatNumber
    /// The CRC32C of the backup's `manifest.json`, all bytes: of another backup this is none.
    package var manifest: UInt32
    /// The files; those of a group follow each other in the order of their indexes.
    package var files: [File] = []

    init(manifest: UInt32) { self.manifest = manifest }

    /// The files of a group.
    package func files(of group: UInt32) -> [File] { files.filter { $0.group == group } }

    func encoded() throws(BackupError) -> [UInt8] { try ChecksummedJSON.encode(self) }

    /// Reads the file and checks all that becomes a path.
    /// - Throws: `damage` where the bytes are not what was written, `usage` for another format.
    package init(decoding bytes: [UInt8], _ path: String) throws(BackupError) {
        self = try ChecksummedJSON.decode(bytes, format: Self.formatNumber, path)
        if let fault { throw BackupError(.damage, "\(path): \(fault)") }
    }

    private var fault: String? {
        var ends: [UInt32: UInt64] = [:]
        for file in files {
            guard BackupManifest.isPlain(file.name) else { return "file name '\(file.name)'" }
            guard file.first > 0, file.first <= file.last else { return "\(file.name) ends before it begins" }
            if let end = ends[file.group], file.first <= 1 || file.first - 1 != end {
                return "\(file.name) begins at index \(file.first), the file before it ends at \(end)"
            }
            ends[file.group] = file.last
        }
        guard Set(files.map(\.name)).count == files.count else { return "a file is named twice" }
        return nil
    }
}

extension BackupFolder {
    private var logIndexPath: String { path + "/" + BackupLogIndex.fileName }

    /// What was saved behind the backup; nil where nothing was.
    /// - Throws: `damage` where `log.json` is not what was written, or another backup's.
    package func logIndex() throws(BackupError) -> BackupLogIndex? {
        guard fileSystem.exists(logIndexPath) else { return nil }
        let bytes: [UInt8]
        do throws(FileError) { bytes = try fileSystem.readAll(logIndexPath) } catch {
            throw BackupError(.file, "\(error)")
        }
        let index = try BackupLogIndex(decoding: bytes, logIndexPath)
        guard try index.manifest == manifestChecksum() else {
            throw BackupError(.damage, "\(logIndexPath) is another backup's")
        }
        return index
    }

    /// Writes down what is saved behind the backup; durable when this returns.
    func replaceLogIndex(_ index: BackupLogIndex) throws(BackupError) {
        let bytes = try index.encoded()
        do throws(FileError) { try fileSystem.replace(logIndexPath, with: bytes) } catch {
            throw BackupError(.file, "\(error)")
        }
    }

    func manifestChecksum() throws(BackupError) -> UInt32 {
        try read(path + "/" + BackupManifest.fileName) { _ in }.checksum
    }

    /// What is wrong with the log behind the backup.
    func logFindings(_ manifest: BackupManifest) -> [String] {
        do throws(BackupError) {
            guard let index = try logIndex() else {
                let names = (try? fileSystem.list(path + "/log")) ?? []
                guard let stray = names.first(where: { $0.hasSuffix(".log") }) else { return [] }
                return [
                    "log/\(stray) is there, but not \(BackupLogIndex.fileName), which records it: nothing of it is restored."
                        + " 'kvctl snapshot log' fetches and records it anew"
                ]
            }
            for group in manifest.groups {
                let log = RetainedLog(self, group.group)
                let files = index.files(of: group.group)
                if let first = files.first?.first, first != group.index + 1 {
                    return ["\(BackupLogIndex.fileName) begins at index \(first), behind \(group.index)"]
                }
                let found = try log.extent(after: group.index)
                if let last = files.last?.last, found.last != last {
                    return ["the log behind the backup ends at index \(found.last), \(last) expected"]
                }
            }
            let known = Set(manifest.groups.map(\.group))
            if let other = index.files.first(where: { !known.contains($0.group) }) {
                return ["\(other.name) is of group \(other.group), which the backup has not"]
            }
            return []
        } catch { return ["\(error)"] }
    }
}
