import Foundation

/// The project's files, as the tests of their form see them.
enum SourceTree {
    /// A file and its lines.
    struct File {
        /// The path from the root of the project.
        let path: String
        /// Its lines, the first at 0.
        let lines: [Substring]

        /// The folder under Sources or Tests that it belongs to.
        var module: String { String(path.split(separator: "/")[1]) }
        /// Whether a tool wrote it.
        var isGenerated: Bool { path.contains("/Generated/") }
    }

    static let root: URL = {
        var root = URL(filePath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        return root
    }()

    /// The folders directly under `folder`.
    static func modules(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)
            .filter { name in
                var isFolder: ObjCBool = false
                let path = root.appending(path: folder).appending(path: name).path
                return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
            }
    }

    /// The paths of all files under `folder`.
    static func paths(in folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
            .map { folder + "/" + $0 }
            .sorted()
    }

    /// The Swift files under `folder`.
    static func swiftFiles(in folder: String) throws -> [File] {
        try paths(in: folder).filter { $0.hasSuffix(".swift") }.map { path in
            let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
            return File(path: path, lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }
}
