import KVBase
package import KVEnvironment
import KVStorage

/// A folder with backups, each in a folder of its own that is complete once it has a manifest.
///
///     REPOSITORY/<name>/manifest.json  data/<group>/<shard>/<file>  log.json  log/<group>-<first>.log
///
/// A backup that is being made has a name that ends in `.partial`.
package struct BackupFolder: Sendable {
    /// The files.
    package let fileSystem: any FileSystem
    /// Its path.
    package let path: String

    /// The backup or repository at `path`.
    package init(_ fileSystem: any FileSystem, _ path: String) {
        self.fileSystem = fileSystem
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    /// The end of the name of one that is not complete.
    package static let partialSuffix = ".partial"
    static let pieceBytes = 1 << 20

    /// The manifest of the backup here.
    /// - Throws: `usage` where there is none, else what is wrong with it.
    package func manifest() throws(BackupError) -> BackupManifest {
        let file = path + "/" + BackupManifest.fileName
        guard fileSystem.exists(file) else { throw absence }
        let bytes: [UInt8]
        do throws(FileError) { bytes = try fileSystem.readAll(file) } catch { throw BackupError(.file, "\(error)") }
        return try BackupManifest(decoding: bytes, file)
    }

    /// Why there is no manifest; who named the repository instead of a backup in it is told which ones there are.
    private var absence: BackupError {
        // What cannot be listed has none to name.
        let names = ((try? list()) ?? []).map { "\(path)/\($0.name)" }
        guard let last = names.last else {
            return BackupError(
                .usage,
                "\(path) is no backup, or one that was never completed: it has no manifest.json"
            )
        }
        let shown = names.suffix(Self.namesShown).joined(separator: ", ")
        return BackupError(
            .usage,
            "\(path) is a folder of \(names.count) backups and none itself: name one of them, as \(last)"
                + (names.count > 1 ? " (there are\(names.count > Self.namesShown ? " …" : "") \(shown))" : "")
        )
    }

    private static let namesShown = 5

    /// The backups in the repository here, by name, with what is wrong with a manifest where something is.
    package func list() throws(BackupError) -> [(name: String, manifest: Result<BackupManifest, BackupError>)] {
        let names: [String]
        do throws(FileError) { names = try fileSystem.list(path).sorted() } catch {
            throw BackupError(.file, "\(error)")
        }
        return names.compactMap { name in
            let folder = BackupFolder(fileSystem, path + "/" + name)
            guard fileSystem.exists(folder.path + "/" + BackupManifest.fileName) else { return nil }
            return (name, Result { () throws(BackupError) in try folder.manifest() })
        }
    }

    /// The newest whole backup in the repository here that was taken from the same life of the same node.
    package func newest(cluster: String, node: String, incarnation: String) -> (name: String, BackupManifest)? {
        // A repository that cannot be listed has nothing to use again.
        let all = (try? list()) ?? []
        let fitting = all.compactMap { name, result -> (String, BackupManifest)? in
            guard case .success(let manifest) = result, manifest.cluster == cluster, manifest.node == node,
                manifest.incarnation == incarnation
            else { return nil }
            return (name, manifest)
        }
        return fitting.max { $0.1.createdAtMs < $1.1.createdAtMs }
    }

    /// Checks every byte: sizes and checksums of all files, then each tablet block by block, and the retained log.
    ///
    /// `progress` hears how many bytes were read.
    package func verify(progress: (UInt64) -> Void = { _ in }) throws(BackupError) -> [String] {
        let manifest = try manifest()
        var findings: [String] = []
        for (name, file) in manifest.files {
            do throws(BackupError) {
                let (size, checksum) = try read(path + "/" + name) { progress(UInt64($0.count)) }
                if size != file.size {
                    findings.append("\(name) has \(size) bytes, \(file.size) expected")
                } else if checksum != file.crc32c {
                    findings.append("\(name) is not what was backed up")
                }
            } catch { findings.append("\(error)") }
        }
        guard findings.isEmpty else { return findings }
        for group in manifest.groups {
            for tablet in group.tablets {
                let directory = path + "/data/\(group.group)/\(tablet.shard)"
                findings += TabletInspection.verify(fileSystem, directory).findings.map { "\($0)" }
            }
        }
        return findings + logFindings(manifest)
    }

    /// Reads a file to its end; its size and checksum.
    func read(
        _ file: String,
        _ body: (UnsafeRawBufferPointer) throws(FileError) -> Void
    ) throws(BackupError)
        -> (size: UInt64, checksum: UInt32)
    {
        do throws(FileError) {
            let source = try fileSystem.open(file, .read)
            defer { source.close() }
            var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
            var (offset, checksum): (UInt64, UInt32) = (0, 0)
            while true {
                let place = offset
                let count = try buffer.withUnsafeMutableBufferPointer { (bytes) throws(FileError) -> Int in
                    let view = UnsafeMutableRawBufferPointer(bytes)
                    let count = try source.read(into: view, at: place)
                    let found = UnsafeRawBufferPointer(rebasing: view[..<count])
                    checksum = CRC32C.checksum(found, seed: checksum)
                    if count > 0 { try body(found) }
                    return count
                }
                guard count > 0 else { return (offset, checksum) }
                offset += UInt64(count)
            }
        } catch {
            throw BackupError(error.reason == .notFound ? .damage : .file, "\(error)")
        }
    }

    /// Copies a file of the backup and holds it against its entry in the manifest.
    func copy(
        _ name: String,
        _ file: BackupManifest.File,
        to target: String,
        progress: (UInt64) -> Void
    ) throws(BackupError) {
        let fresh: any File
        do throws(FileError) { fresh = try fileSystem.open(target, .createNew) } catch {
            throw BackupError(.file, "\(error)")
        }
        defer { fresh.close() }
        var offset: UInt64 = 0
        let (size, checksum) = try read(path + "/" + name) { (bytes) throws(FileError) in
            try fresh.write(bytes, at: offset)
            offset += UInt64(bytes.count)
            progress(UInt64(bytes.count))
        }
        guard size == file.size, checksum == file.crc32c else {
            throw BackupError(
                .damage,
                "\(path)/\(name) is not what was backed up (\(size) bytes, \(file.size) expected): restore from another backup"
            )
        }
        do throws(FileError) { try fresh.synchronize() } catch { throw BackupError(.file, "\(error)") }
    }
}
