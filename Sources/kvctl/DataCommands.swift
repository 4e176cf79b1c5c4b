import ArgumentParser
import Foundation
import KVClient

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Write a key's value to standard output, byte for byte; exit 5 where it has none."
    )

    @OptionGroup var global: GlobalOptions
    @Option(help: "linearizable, lease or stale (stale: what the first node that answers holds itself).")
    var consistency = KVClient.Consistency.linearizable
    @Argument var key: String

    private struct Payload: Encodable {
        let key: JSONBytes
        let value: JSONBytes
    }

    func run() async throws {
        let key = try global.keyFormat.parse(key)
        try await global.perform { session in
            guard let value = try await session.client.get(key, consistency: consistency) else {
                throw CtlFailure(.notFound, "not_found", "no such key: \(global.keyFormat.show(key))")
            }
            switch global.output {
            case .json: try writeJSON(Payload(key: JSONBytes(key), value: JSONBytes(value)))
            case .table: write(isTerminal || Session.inherited != nil ? value + [UInt8(ascii: "\n")] : value)
            }
            return .ok
        }
    }
}

struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Set a key to a value given as an argument, from standard input (-), or from a file."
    )

    @OptionGroup var global: GlobalOptions
    @Option(help: ArgumentHelp("Read the value from this file.", valueName: "path"))
    var file: String?
    @Option(help: ArgumentHelp("Let the key expire after this time.", valueName: "duration"))
    var ttl: TimeSpan?
    @Argument var key: String
    @Argument(help: "The value, or - for standard input.") var value: String?

    func validate() throws {
        guard (file == nil) != (value == nil) else { throw ValidationError("give either a value, - or --file") }
    }

    func run() async throws {
        let key = try global.keyFormat.parse(key)
        try await global.perform { session in
            let bytes: [UInt8] =
                if let file {
                    try Array(Data(contentsOf: URL(fileURLWithPath: file)))
                } else if let value, value != "-" {
                    Array(value.utf8)
                } else {
                    try Array(FileHandle.standardInput.readToEnd() ?? Data())
                }
            try await session.client.put(key, bytes, timeToLive: ttl?.duration)
            switch global.output {
            case .json: try writeJSON(["bytes": bytes.count])
            case .table: if isTerminal { write("OK\n") }
            }
            return .ok
        }
    }
}

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Delete keys.")

    @OptionGroup var global: GlobalOptions
    @Flag(help: "Exit 5 where a key was not there.")
    var mustExist = false
    @Argument var keys: [String]

    func run() async throws {
        let keys = try self.keys.map(global.keyFormat.parse)
        try await global.perform { session in
            var deleted = 0
            for key in keys where try await session.client.delete(key) { deleted += 1 }
            switch global.output {
            case .json: try writeJSON(["deleted": deleted])
            case .table: write("\(deleted) deleted\n")
            }
            return mustExist && deleted < keys.count ? .notFound : .ok
        }
    }
}

struct IncrementCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incr",
        abstract: "Add to the number that a key holds, and write the sum."
    )

    @OptionGroup var global: GlobalOptions
    @Option(help: "How much to add; may be negative.") var by: Int64 = 1
    @Argument var key: String

    func run() async throws {
        let key = try global.keyFormat.parse(key)
        try await global.perform { session in
            let sum = try await session.client.increment(key, by: by)
            switch global.output {
            case .json: try writeJSON(["value": String(sum)])
            case .table: write("\(sum)\n")
            }
            return .ok
        }
    }
}
