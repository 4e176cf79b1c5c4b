import ArgumentParser
import Foundation
import KVBackup
import KVClient

/// How results are shown: for people, or as data.
enum OutputFormat {
    case table
    case json
}

/// What `--output` takes.
enum OutputChoice: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
    case yaml

    var format: OutputFormat { self == .table ? .table : .json }

    /// How data is written while a command runs.
    @TaskLocal static var current = OutputChoice.json
}

/// The one JSON shape of every answer.
struct Envelope<Payload: Encodable>: Encodable {
    struct Failure: Encodable {
        let code: String
        let message: String
    }

    let ok: Bool
    let data: Payload?
    let error: Failure?

    private enum CodingKeys: String, CodingKey {
        case ok
        case data
        case error
    }

    /// All three members, whether they have a value or not.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(ok, forKey: .ok)
        try container.encode(data, forKey: .data)
        try container.encode(error, forKey: .error)
    }
}

/// For answers without data.
struct Nothing: Encodable {}

/// Why a command failed, with the exit code it means.
struct CtlFailure: Error {
    let exit: CtlExit
    let code: String
    let message: String

    init(_ exit: CtlExit, _ code: String, _ message: String) {
        self.exit = exit
        self.code = code
        self.message = message
    }

    init(_ error: any Error) {
        switch error {
        case let failure as CtlFailure: self = failure
        case let error as ClientError: self.init(client: error)
        case let error as BackupError: self.init(error)
        case let error as ImportError:
            if case .cannotConnect = error {
                self.init(.cannotConnect, "cannot_connect", error.description)
            } else {
                self.init(.error, "import_failed", error.description)
            }
        case let error as RecordError: self.init(.error, "bad_record", error.description)
        default: self.init(.error, "error", "\(error)")
        }
    }

    private init(client error: ClientError) {
        switch error {
        case .cannotConnect: self.init(.cannotConnect, "cannot_connect", error.description)
        case .unknownOutcome: self.init(.outcomeUnknown, "unknown_outcome", error.description)
        case .invalidArgument: self.init(.usage, "bad_request", error.description)
        case .unavailable: self.init(.error, "unavailable", error.description)
        case .timedOut: self.init(.error, "timeout", error.description)
        case .rejected(let code, _) where code == "NOAUTH" || code == "NOPERM" || code == "WRONGPASS":
            self.init(.notAuthorised, "not_authorised", error.description)
        case .httpStatus(401, _), .httpStatus(403, _): self.init(.notAuthorised, "not_authorised", error.description)
        case .rejected(let code, _): self.init(.error, code.lowercased(), error.description)
        case .httpStatus(404, let text): self.init(.notFound, "not_found", text)
        case .httpStatus(409, let text): self.init(.notFound, "conflict", text)
        case .httpStatus(400, let text): self.init(.usage, "bad_request", text)
        case .httpStatus(503, let text): self.init(.error, "unavailable", text)
        default: self.init(.error, "error", error.description)
        }
    }
}

/// Writes text; a reader that went away is no error of ours.
func write(_ text: String, to handle: FileHandle = .standardOutput) {
    write(Array(text.utf8), to: handle)
}

/// Writes bytes as they are; ends the process quietly where nobody reads them any more.
func write(_ bytes: [UInt8], to handle: FileHandle = .standardOutput) {
    do {
        try handle.write(contentsOf: Data(bytes))
    } catch {
        Foundation.exit(CtlExit.error.rawValue)
    }
}

/// Writes the envelope, in the notation that was asked for.
func writeJSON<Payload: Encodable>(_ payload: Payload, ok: Bool = true, error: Envelope<Payload>.Failure? = nil) throws
{
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(Envelope(ok: ok, data: payload, error: error))
    guard OutputChoice.current == .yaml else { return write(Array(data) + [UInt8(ascii: "\n")]) }
    write(YAMLText.text(try JSONDecoder().decode(DataNode.self, from: data)))
}

/// Whether a person looks at standard output.
var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

/// A number of bytes for people.
func sizeText(_ bytes: UInt64) -> String {
    if bytes < 10 << 10 { return "\(bytes) B" }
    if bytes < 10 << 20 { return "\(bytes >> 10) KiB" }
    return bytes < 10 << 30 ? "\(bytes >> 20) MiB" : "\(bytes >> 30) GiB"
}
