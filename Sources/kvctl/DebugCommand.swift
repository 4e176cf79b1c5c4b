import ArgumentParser
import Foundation
import KVClient

struct DebugCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "debug",
        abstract: "What to hand on where something is wrong.",
        subcommands: [DebugBundle.self]
    )
}

private struct DebugBundle: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Gather from all nodes how they stand into one tar file, without secrets and without values.",
        discussion: """
            For each node: status, readiness, metrics, settings, members, slow requests, log level. Of slow requests the keys are left out \
            unless --with-keys is given. Users and tokens are not asked for. A node's log is where its service manager puts it; --log \
            adds files of it, in which whatever looks like a password or token is blotted out.
            """
    )
    @OptionGroup var global: GlobalOptions
    @Option(
        name: .customLong("to"),
        help: ArgumentHelp("The file to write.", valueName: "file.tar"),
        completion: .file()
    )
    var path: String?
    @Option(help: ArgumentHelp("A log file of a node to put in.", valueName: "file"), completion: .file())
    var log: [String] = []
    @Flag(help: "Keep the keys of slow requests.") var withKeys = false

    private static let pages: [(name: String, path: String)] = [
        ("status.json", "/status"), ("readyz.json", "/readyz"), ("metrics.txt", "/metrics"),
        ("config.json", "/admin/v1/config"), ("members.json", "/admin/v1/members"),
        ("slow-requests.json", "/admin/v1/slow-requests"), ("log-level.json", "/admin/v1/log-level"),
    ]
    private static let logBytesMax = 16 << 20

    private struct Payload: Encodable {
        let file: String
        let bytes: Int
        let entries: [String]
        let missing: [String]
    }

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            var tar = TarWriter()
            var entries: [String] = []
            var missing: [String] = []
            func add(_ name: String, _ bytes: [UInt8]) {
                tar.add("kvctl-debug/\(name)", bytes)
                entries.append(name)
            }
            // All at once: a node that hangs costs one deadline, not one for each page.
            let answers = await withTaskGroup { group in
                for (place, page) in Self.pages.enumerated() {
                    group.addTask { (place, await session.client.pages(page.path)) }
                }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for (place, (name, path)) in Self.pages.enumerated() {
                for answer in answers[place] ?? [] {
                    let folder = answer.endpoint.description.map { $0 == ":" || $0 == "[" || $0 == "]" ? "_" : $0 }
                    switch answer.result {
                    case .success(let bytes):
                        let isSlow = name == "slow-requests.json"
                        add("\(String(folder))/\(name)", isSlow && !withKeys ? Self.withoutKeys(bytes) : bytes)
                    case .failure(let error): missing.append("\(answer.endpoint)\(path): \(error)")
                    }
                }
            }
            guard !entries.isEmpty else {
                throw CtlFailure(.cannotConnect, "cannot_connect", missing.first ?? "no node was asked")
            }
            for file in log {
                guard let data = FileManager.default.contents(atPath: file) else {
                    missing.append("\(file) cannot be read")
                    continue
                }
                let text = Secrets.blotted(String(decoding: data.suffix(Self.logBytesMax), as: UTF8.self))
                add("logs/\(file.split(separator: "/").joined(separator: "_"))", Array(text.utf8))
            }
            add("missing.txt", Array((missing.joined(separator: "\n") + "\n").utf8))
            let target = path ?? "kvctl-debug-\(Int(Date().timeIntervalSince1970)).tar"
            let bytes = tar.finished()
            guard
                FileManager.default.createFile(
                    atPath: target,
                    contents: Data(bytes),
                    attributes: [.posixPermissions: 0o600]
                )
            else { throw CtlFailure(.error, "file", "\(target) cannot be written") }
            switch global.output {
            case .json:
                try writeJSON(
                    Payload(file: target, bytes: bytes.count, entries: entries, missing: missing),
                    ok: missing.isEmpty,
                    error: missing.isEmpty ? nil : .init(code: "partial", message: missing.joined(separator: "; "))
                )
            case .table:
                write("\(target): \(entries.count) files, \(sizeText(UInt64(bytes.count)))\n")
                for text in missing { write("missing: \(text)\n", to: .standardError) }
            }
            return missing.isEmpty ? .ok : .partial
        }
    }

    private static func withoutKeys(_ bytes: [UInt8]) -> [UInt8] {
        guard case .object(var root)? = try? JSONDecoder().decode(DataNode.self, from: Data(bytes)),
            case .list(let requests)? = root["slowRequests"]
        else { return Array("not understood, left out\n".utf8) }
        root["slowRequests"] = .list(
            requests.map { request in
                guard case .object(var members) = request else { return .null }
                if case .text(let key)? = members["key"] { members["key"] = .text("(\(key.utf8.count) characters)") }
                return .object(members)
            }
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // What was decoded can be encoded.
        return (try? encoder.encode(DataNode.object(root))).map { Array($0) } ?? []
    }
}

/// A tar file of plain files (POSIX ustar), put together in memory.
struct TarWriter {
    private var bytes: [UInt8] = []

    /// - Precondition: the name is ASCII and at most 255 bytes with a slash where it is longer than 100.
    mutating func add(_ name: String, _ content: [UInt8]) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, _ count: Int) {
            for (place, byte) in text.utf8.prefix(count).enumerated() { header[offset + place] = byte }
        }
        func octal(_ number: Int, at offset: Int, _ count: Int) {
            let digits = String(number, radix: 8)
            put(String(repeating: "0", count: max(0, count - 1 - digits.count)) + digits, at: offset, count - 1)
        }
        put(String(name.suffix(100)), at: 0, 100)
        octal(0o600, at: 100, 8)
        octal(0, at: 108, 8)
        octal(0, at: 116, 8)
        octal(content.count, at: 124, 12)
        octal(0, at: 136, 12)
        put(String(repeating: " ", count: 8), at: 148, 8)
        put("0", at: 156, 1)
        put("ustar", at: 257, 5)
        put("00", at: 263, 2)
        let sum = header.reduce(0) { $0 + Int($1) }
        let digits = String(sum, radix: 8)
        put(String(repeating: "0", count: max(0, 6 - digits.count)) + digits, at: 148, 6)
        header[154] = 0
        header[155] = 0x20
        bytes += header + content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// The file, with the two empty blocks that end it.
    func finished() -> [UInt8] { bytes + [UInt8](repeating: 0, count: 1_024) }
}
