import Foundation

/// A disk of a few megabytes that can run full: a file system in memory, mounted on a folder.
///
/// Only the superuser may mount one.
struct SmallDisk {
    let folder: URL

    /// Mounts a disk on a folder, made if absent.
    init(at folder: URL, bytes: Int) throws {
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        guard mount("tmpfs", folder.path, "tmpfs", 0, "size=\(bytes)") == 0 else {
            throw Socket.Failure(description: "mount \(folder.path): \(String(cString: strerror(errno)))")
        }
    }

    /// Unmounts it; what is in it is gone.
    func remove() { umount2(folder.path, Int32(MNT_DETACH)) }

    /// Makes the disk on a folder larger, as somebody does who adds room.
    static func grow(_ folder: String, to bytes: Int) throws {
        guard mount("tmpfs", folder, "tmpfs", UInt(MS_REMOUNT), "size=\(bytes)") == 0 else {
            throw Socket.Failure(description: "remount \(folder): \(String(cString: strerror(errno)))")
        }
    }

    /// Whether this process may mount disks.
    static let canBeMade: Bool = {
        guard let folder = try? TemporaryFolder() else { return false }
        defer { folder.remove() }
        guard let disk = try? SmallDisk(at: folder.file("disk"), bytes: 1 << 20) else { return false }
        disk.remove()
        return true
    }()

    /// A file in a folder that takes all room that is left there.
    static func fill(_ folder: String) throws -> URL {
        let file = URL(filePath: folder).appending(path: "ballast")
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard descriptor >= 0 else {
            throw Socket.Failure(description: "open \(file.path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let block = [UInt8](repeating: 1, count: 4_096)
        while write(descriptor, block, block.count) == block.count {}
        return file
    }
}
