import Foundation

/// The recorded histories that stand beside the project; absent in a bare clone.
enum Fixtures {
    static let histories: URL = {
        var root = URL(filePath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return root.appending(path: "shared/fixtures/histories")
    }()

    static let exist = FileManager.default.fileExists(atPath: histories.appending(path: "expected.tsv").path)

    /// The register histories by name, with what the verdict has to be.
    static let expected: [(file: String, isLinearizable: Bool)] = {
        // Absent fixtures give no cases; the tests that read them say so by being disabled.
        guard let table = try? String(contentsOf: histories.appending(path: "expected.tsv"), encoding: .utf8) else {
            return []
        }
        return table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: "\t")
            return fields.count == 2 ? (String(fields[0]), fields[1] == "true") : nil
        }
    }()

    static func text(_ name: String) throws -> String {
        try String(contentsOf: histories.appending(path: name), encoding: .utf8)
    }
}
