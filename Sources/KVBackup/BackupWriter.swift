import KVBase
package import KVEnvironment

/// Writes a backup, file by file, into a folder that gets its name when all of it is on stable storage.
///
/// A table of the backup before, of the same life of the same node, is linked instead of fetched: tables never change, and it is held
/// against its checksum first. So each backup stands by itself, and any may be removed.
package struct BackupWriter {
    private let repository: BackupFolder
    private let folder: BackupFolder
    private let name: String
    private let baseName: String?
    private let known: [String: BackupManifest.File]
    private var fileSystem: any FileSystem { repository.fileSystem }

    /// Begins a backup of this name in a repository, on top of `base` where one is given.
    /// - Throws: `usage` where there is a backup of this name.
    package init(
        _ fileSystem: any FileSystem,
        repository path: String,
        name: String,
        base: (name: String, manifest: BackupManifest)?
    ) throws(BackupError) {
        repository = BackupFolder(fileSystem, path)
        folder = BackupFolder(fileSystem, repository.path + "/" + name + BackupFolder.partialSuffix)
        self.name = name
        baseName = base?.name
        var known: [String: BackupManifest.File] = [:]
        for group in base?.manifest.groups ?? [] {
            for tablet in group.tablets {
                for file in tablet.files {
                    known[Self.key(group.group, tablet.shard, tablet.directory, file.name)] = file
                }
            }
        }
        self.known = known
        guard BackupManifest.isPlain(name) else { throw BackupError(.usage, "'\(name)' is no name for a backup") }
        guard !fileSystem.exists(repository.path + "/" + name) else {
            throw BackupError(.usage, "\(repository.path)/\(name) is there already")
        }
        do throws(FileError) {
            try fileSystem.createDirectory(repository.path)
            try fileSystem.removeTree(folder.path)
            try fileSystem.createDirectory(folder.path)
            try fileSystem.createDirectory(folder.path + "/data")
        } catch { throw BackupError(.file, "\(error)") }
    }

    private static func key(_ group: UInt32, _ shard: UInt32, _ directory: String, _ name: String) -> String {
        "\(group)/\(shard)/\(directory)/\(name)"
    }

    /// Makes the folder of a tablet.
    package func begin(group: UInt32, shard: UInt32) throws(BackupError) {
        do throws(FileError) {
            try fileSystem.createDirectory(folder.path + "/data/\(group)")
            try fileSystem.createDirectory(folder.path + "/data/\(group)/\(shard)")
        } catch { throw BackupError(.file, "\(error)") }
    }

    /// Takes a table from the backup before; nil where that does not have it, whole.
    package func reuse(
        group: UInt32,
        shard: UInt32,
        directory: String,
        name: String,
        size: UInt64
    ) -> BackupManifest.File? {
        // What changes under one name is fetched anew; tables do not.
        guard name.hasSuffix(".sst"), let baseName,
            let file = known[Self.key(group, shard, directory, name)], file.size == size
        else { return nil }
        let path = BackupManifest.path(group, shard, name)
        let source = repository.path + "/" + baseName + "/" + path
        // Whatever is wrong with the old copy, the node has the table.
        guard let found = try? BackupFolder(fileSystem, repository.path).read(source, { _ in }), found.size == size,
            found.checksum == file.crc32c, (try? fileSystem.link(source, to: folder.path + "/" + path)) != nil
        else { return nil }
        return BackupManifest.File(name: name, size: size, crc32c: file.crc32c, reused: true)
    }

    /// A file that is fetched piece by piece.
    package final class Incoming {
        private let file: any File
        /// How much is there.
        package private(set) var size: UInt64 = 0
        private var checksum: UInt32 = 0

        init(_ file: any File) { self.file = file }

        /// Adds a piece.
        package func add(_ bytes: [UInt8]) throws(BackupError) {
            do throws(FileError) {
                let place = size
                try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
                    try file.write(UnsafeRawBufferPointer(buffer), at: place)
                }
            } catch { throw BackupError(.file, "\(error)") }
            checksum = CRC32C.checksum(bytes, seed: checksum)
            size += UInt64(bytes.count)
        }

        /// Ends the file; durable when this returns.
        package func end(_ name: String) throws(BackupError) -> BackupManifest.File {
            do throws(FileError) { try file.synchronize() } catch { throw BackupError(.file, "\(error)") }
            file.close()
            return BackupManifest.File(name: name, size: size, crc32c: checksum, reused: false)
        }
    }

    /// Begins a file that is not taken from the backup before.
    package func incoming(group: UInt32, shard: UInt32, name: String) throws(BackupError) -> Incoming {
        guard BackupManifest.isPlain(name) else { throw BackupError(.damage, "'\(name)' is no file name") }
        do throws(FileError) {
            let path = folder.path + "/" + BackupManifest.path(group, shard, name)
            return Incoming(try fileSystem.open(path, .createNew))
        } catch { throw BackupError(.file, "\(error)") }
    }

    /// Writes the manifest and gives the backup its name; returns its path.
    package func finish(_ manifest: BackupManifest) throws(BackupError) -> String {
        if let fault = manifest.fault { throw BackupError(.damage, "what the node sent is no backup: \(fault)") }
        let bytes = try manifest.encoded()
        do throws(FileError) {
            for group in manifest.groups {
                for tablet in group.tablets {
                    try fileSystem.synchronizeDirectory(folder.path + "/data/\(group.group)/\(tablet.shard)")
                }
                try fileSystem.synchronizeDirectory(folder.path + "/data/\(group.group)")
            }
            try fileSystem.synchronizeDirectory(folder.path + "/data")
            try fileSystem.replace(folder.path + "/" + BackupManifest.fileName, with: bytes)
            let path = repository.path + "/" + name
            try fileSystem.rename(folder.path, to: path)
            try fileSystem.synchronizeDirectory(repository.path)
            try fileSystem.synchronizeDirectory(parentDirectory(of: repository.path))
            return path
        } catch { throw BackupError(.file, "\(error)") }
    }

    /// Removes what was written so far.
    package func abandon() {
        // The next backup of the name begins by removing it.
        try? fileSystem.removeTree(folder.path)
    }
}
