import ArgumentParser
import Foundation

/// Clusters by name, as the configuration file of kvctl has them.
///
/// It holds no secret: a password or token is named by the file or variable that has it. The file is read only where nobody else may
/// read or write it, since who changes an address in it is sent the password.
struct Contexts: Codable, Equatable {
    /// How one cluster is reached.
    struct Context: Codable, Equatable {
        /// RESP addresses, as `--endpoints` takes them.
        var endpoints: String?
        /// HTTP addresses, as `--http-endpoints` takes them.
        var httpEndpoints: String?
        /// The file of the authorities that are believed.
        var ca: String?
        /// Whether TLS is spoken without `ca`.
        var tls: Bool?
        /// Who the user is.
        var user: String?
        /// The file whose first line is the password, or a token where there is no user.
        var passwordFile: String?
        /// The variable of the environment that has it.
        var passwordVariable: String?
    }

    /// The context that is used where none is named.
    var current: String?
    var contexts: [String: Context] = [:]

    /// Where the file is: $KVCTL_CONFIG, else kvctl/config.json in $XDG_CONFIG_HOME or ~/.config.
    static var path: String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["KVCTL_CONFIG"], !path.isEmpty { return path }
        let home = environment["HOME"] ?? "."
        let folder = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.config"
        return "\(folder)/kvctl/config.json"
    }

    /// The contexts of the file; none where it does not exist.
    static func read(_ path: String = path) throws -> Contexts {
        guard FileManager.default.fileExists(atPath: path) else { return Contexts() }
        try requirePrivate(path)
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw ValidationError("\(path) cannot be read")
        }
        do {
            try checkNames(data)
            return try JSONDecoder().decode(Contexts.self, from: data)
        } catch let error as ValidationError {
            throw ValidationError("\(path): \(error.message)")
        } catch {
            throw ValidationError("\(path) is no configuration of kvctl: \(error)")
        }
    }

    /// Replaces the file, which nobody else may read.
    func write(_ path: String = path) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(self) + Data("\n".utf8)
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        // Written beside it and renamed: whoever reads meanwhile sees the one or the other.
        let fresh = "\(path).\(getpid())"
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw CtlFailure(.error, "file", "\(fresh): \(String(cString: strerror(errno)))") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: data)
        try handle.synchronize()
        guard rename(fresh, path) == 0 else {
            throw CtlFailure(.error, "file", "\(path): \(String(cString: strerror(errno)))")
        }
    }

    /// A misspelt member would be a setting that silently does nothing.
    private static func checkNames(_ data: Data) throws {
        guard case .object(let root) = try JSONDecoder().decode(DataNode.self, from: data) else {
            throw ValidationError("expected an object with current and contexts")
        }
        try check(root.keys, against: ["current", "contexts"], in: "the file")
        guard case .object(let contexts)? = root["contexts"] else { return }
        let known: Set = [
            "endpoints", "httpEndpoints", "ca", "tls", "user", "passwordFile", "passwordVariable",
        ]
        for (name, context) in contexts {
            guard case .object(let members) = context else { throw ValidationError("context '\(name)' is no object") }
            try check(members.keys, against: known, in: "context '\(name)'")
        }
    }

    private static func check(
        _ names: Dictionary<String, DataNode>.Keys,
        against known: Set<String>,
        in place: String
    ) throws {
        guard let stranger = names.sorted().first(where: { !known.contains($0) }) else { return }
        throw ValidationError("\(place) has '\(stranger)'; known are \(known.sorted().joined(separator: ", "))")
    }

    /// Refuses a file that others may read or write.
    static func requirePrivate(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ValidationError("\(path): \(String(cString: strerror(errno)))") }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw ValidationError("\(path) is open to others (mode \(mode)): type chmod 600 \(path)")
        }
    }

    /// The context that a command uses; nil where none.
    ///
    /// One that was not named by a flag is left aside where addresses were given otherwise: its password is for its own nodes alone.
    static func chosen(_ named: String?, addressesAreGiven: Bool) throws -> Context? {
        if named == nil, addressesAreGiven { return nil }
        let all = try read()
        let variable = ProcessInfo.processInfo.environment["KVCTL_CONTEXT"].flatMap { $0.isEmpty ? nil : $0 }
        guard let name = named ?? variable ?? all.current else { return nil }
        guard let context = all.contexts[name] else {
            let known = all.contexts.keys.sorted().joined(separator: ", ")
            throw ValidationError(
                "there is no context '\(name)' in \(path)\(known.isEmpty ? "" : "; there are \(known)")"
            )
        }
        return context
    }
}
