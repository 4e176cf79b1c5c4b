import Foundation

/// The built programs and scripts that these tests start.
enum Programs {
    static let root: URL = {
        var root = URL(filePath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return root
    }()

    /// Where this test program was built; the others stand beside it.
    private static let folder: URL = {
        let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let isBuild = FileManager.default.isExecutableFile(atPath: own.appending(path: "kvnode").path)
        return isBuild ? own : root.appending(path: ".build/debug")
    }()

    static let kvnode = folder.appending(path: "kvnode").path
    static let kvctl = folder.appending(path: "kvctl").path
    static let kvbench = folder.appending(path: "kvbench").path
    static let sstdump = folder.appending(path: "sstdump").path
    static let walreplay = folder.appending(path: "walreplay").path
    static let cluster = root.appending(path: "scripts/cluster").path

    static let exist = [kvnode, kvctl].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }

    static let toolsExist = [sstdump, walreplay].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }

    /// The path of a program of the system; nil where it is not installed.
    static func installed(_ name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
