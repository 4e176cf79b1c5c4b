/// A command that the server knows.
struct Command: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt16
        static let readOnly = Flags(rawValue: 1)
        static let write = Flags(rawValue: 2)
        static let fast = Flags(rawValue: 4)
        static let admin = Flags(rawValue: 8)
        static let loading = Flags(rawValue: 16)
        /// It sees what every earlier command of the connection did, writes of the same burst included: those are awaited.
        static let waitsForWrites = Flags(rawValue: 32)
        /// It is about transactions: not queued after MULTI but done at once.
        static let transaction = Flags(rawValue: 64)
        /// It waits until the versions that WATCH asked for are known.
        static let waitsForWatch = Flags(rawValue: 128)
        /// It cannot be queued after MULTI: its answer takes more than one key's shard.
        static let alone = Flags(rawValue: 256)
        /// It is served before the client has said who it is.
        static let open = Flags(rawValue: 512)
        /// Its first argument says what it does: see `Subcommand`.
        static let container = Flags(rawValue: 1_024)
    }

    typealias Handler = @Sendable (RESPConnection, Arguments) throws(RESPError) -> Void

    /// In lower case.
    let name: String
    /// How many arguments it takes, its name included; negative: at least so many.
    let arity: Int
    let flags: Flags
    /// The place of the first key; 0 for none.
    let firstKey: Int
    /// The place of the last key; −1 for the last argument.
    let lastKey: Int
    /// From one key to the next.
    let keyStep: Int
    let summary: String
    let handler: Handler

    init(
        _ name: String,
        _ arity: Int,
        _ flags: Flags,
        keys: (Int, Int, Int) = (0, 0, 0),
        _ summary: String,
        _ handler: @escaping Handler
    ) {
        self.name = name
        self.arity = arity
        self.flags = flags
        (firstKey, lastKey, keyStep) = keys
        self.summary = summary
        self.handler = handler
    }

    func accepts(argumentCount: Int) -> Bool {
        arity >= 0 ? argumentCount == arity : argumentCount >= -arity
    }

    /// Which of Redis's groups of commands it is of.
    var group: String {
        if name == "cluster" || name == "readonly" || name == "readwrite" || name == "asking" { return "cluster" }
        if ["ping", "echo", "hello", "auth", "select", "quit", "reset", "client"].contains(name) {
            return "connection"
        }
        if flags.contains(.transaction), !name.contains(".") { return "transactions" }
        if Self.keyCommands.contains(name) { return "generic" }
        return firstKey > 0 ? "string" : "server"
    }

    private static let keyCommands: Set<String> = [
        "copy", "del", "exists", "expire", "expireat", "expiretime", "keys", "object", "persist", "pexpire",
        "pexpireat",
        "pexpiretime", "pttl", "randomkey", "rename", "renamenx", "scan", "touch", "ttl", "type", "unlink", "wait",
    ]

    /// The flags' names as COMMAND INFO gives them.
    var flagNames: [String] {
        var names: [String] = []
        if flags.contains(.write) { names.append("write") }
        if flags.contains(.readOnly) { names.append("readonly") }
        if flags.contains(.fast) { names.append("fast") }
        if flags.contains(.admin) { names.append("admin") }
        if flags.contains(.loading) { names.append("loading") }
        if flags.contains(.alone) { names.append("no_multi") }
        return names
    }
}

/// Finds commands by name: the name's bytes, folded to capitals, are two words, looked up in an open hash table.
///
/// No string is made.
struct CommandTable: Sendable {
    /// What every call needs, without references.
    struct Entry {
        var arity: Int32
        var flags: Command.Flags
    }

    private struct Bucket {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var index: Int32 = -1
    }

    let commands: [Command]
    let entries: [Entry]
    let handlers: [Command.Handler]
    private let buckets: [Bucket]

    /// - Precondition: at most 255 commands, their names 1 to 16 ASCII letters or points and distinct.
    init(_ commands: [Command]) {
        precondition(commands.count <= 255, "\(commands.count) commands do not fit a byte")
        self.commands = commands
        entries = commands.map { Entry(arity: Int32($0.arity), flags: $0.flags) }
        handlers = commands.map(\.handler)
        var buckets = Array(repeating: Bucket(), count: 512)
        for (index, command) in commands.enumerated() {
            let name = Array(command.name.utf8)
            guard let key = name.withUnsafeBytes({ Self.fold($0) }) else {
                preconditionFailure("bad name \(command.name)")
            }
            var place = Self.hash(key) & 511
            while buckets[place].index >= 0 { place = (place + 1) & 511 }
            buckets[place] = Bucket(low: key.low, high: key.high, index: Int32(index))
        }
        self.buckets = buckets
    }

    /// The place of the command with this name, in any case of letters.
    func find(_ name: UnsafeRawBufferPointer) -> Int? {
        guard let key = Self.fold(name) else { return nil }
        return buckets.withUnsafeBufferPointer { buckets in
            var place = Self.hash(key) & 511
            while buckets[place].index >= 0 {
                if buckets[place].low == key.low && buckets[place].high == key.high { return Int(buckets[place].index) }
                place = (place + 1) & 511
            }
            return nil
        }
    }

    /// Up to 16 bytes as two words, lower-case letters folded to capitals; nil for other lengths or a byte that is neither a letter
    /// nor a point.
    private static func fold(_ name: UnsafeRawBufferPointer) -> (low: UInt64, high: UInt64)? {
        guard name.count > 0, name.count <= 16 else { return nil }
        var low: UInt64 = 0
        var high: UInt64 = 0
        for index in 0..<name.count {
            let byte = name[index]
            let folded = byte & 0xdf
            guard folded >= UInt8(ascii: "A") && folded <= UInt8(ascii: "Z") || byte == UInt8(ascii: ".") else {
                return nil
            }
            if index < 8 { low = low << 8 | UInt64(folded) } else { high = high << 8 | UInt64(folded) }
        }
        return (low, high)
    }

    private static func hash(_ key: (low: UInt64, high: UInt64)) -> Int {
        let mixed = (key.low ^ (key.high &* 0x9e37_79b9_7f4a_7c15)) &* 0xff51_afd7_ed55_8ccd
        return Int(truncatingIfNeeded: mixed >> 40)
    }
}
