import Foundation
import KVTLS

/// An authority and nodes' certificates, made by the script that users have.
struct Certificates {
    let folder: URL

    static let root: URL = {
        var root = URL(filePath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        return root
    }()

    /// Whether the script can work here.
    static let canBeMade = FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")

    init(_ nodes: [String] = ["n1", "n2"]) async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "kv-tls-\(UUID().uuidString.prefix(8))")
        try await make(nodes)
    }

    /// Makes what is missing.
    func make(_ nodes: [String]) async throws {
        let process = Process()
        process.executableURL = Self.root.appending(path: "scripts/certificates")
        process.arguments = ["--out", folder.path] + nodes
        process.standardOutput = FileHandle.nullDevice
        // Without holding up the threads that other tests run on.
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try process.run()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        guard status == 0 else { throw CocoaError(.executableLoad) }
    }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    func files(_ node: String) -> TLSFiles {
        TLSFiles(certificate: path("\(node).pem"), key: path("\(node).key"), authority: path("ca.pem"))
    }

    func remove() {
        // What stays behind in the temporary folder harms no later run.
        try? FileManager.default.removeItem(at: folder)
    }
}
