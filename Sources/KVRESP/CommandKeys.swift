// Which arguments are keys and what happens to them: COMMAND GETKEYS and GETKEYSANDFLAGS.

/// What commands do to their keys, as Redis names it; one row for all keys, or one for each.
private let keyFlags: [String: [String]] = {
    var flags: [String: [String]] = [
        "rename": ["RW access delete", "OW update"], "renamenx": ["RW access delete", "OW insert"],
        "copy": ["RO access", "OW update"], "append": ["RW insert"], "getdel": ["RW access delete"],
    ]
    for (does, names) in [
        ("RO access", "get mget getrange substr ttl pttl expiretime pexpiretime"),
        ("RO", "strlen exists touch type watch object memory"), ("OW update", "set setex psetex mset"),
        ("OW insert", "setnx msetnx"), ("RM delete", "del unlink"),
        ("RW update", "setrange expire pexpire expireat pexpireat persist"),
        ("RW access update", "getex getset incr decr incrby decrby incrbyfloat"),
    ] {
        for name in names.split(separator: " ") { flags[String(name)] = [does] }
    }
    return flags
}()

extension RESPConnection {
    /// COMMAND GETKEYS and GETKEYSANDFLAGS, from the command in question on.
    func commandKeys(_ arguments: Arguments, withFlags: Bool) throws(RESPError) {
        guard let index = shared.table.find(arguments[0]) else { throw .line("ERR Invalid command specified") }
        let command = shared.table.commands[index]
        let places = try keyPlaces(command, arguments)
        var flags = keyFlags[command.name] ?? []
        if command.name == "set", (3..<max(3, arguments.count)).contains(where: { arguments.matches($0, "GET") }) {
            flags = ["RW access update"]
        }
        reply { output, isRESP3 in
            output.writeArrayHead(places.count)
            for (number, place) in places.enumerated() {
                guard withFlags else {
                    output.writeBulk(arguments[place])
                    continue
                }
                output.writeArrayHead(2)
                output.writeBulk(arguments[place])
                let words = flags.isEmpty ? [] : flags[min(number, flags.count - 1)].split(separator: " ")
                output.writeSetHead(words.count, isRESP3: isRESP3)
                for word in words {
                    output.writeStaticString("+")
                    output.writeSubstring(word)
                    output.writeStaticString("\r\n")
                }
            }
        }
    }

    private func keyPlaces(_ command: Command, _ arguments: Arguments) throws(RESPError) -> [Int] {
        if !command.subcommands.isEmpty, arguments.count > 1 {
            guard let found = command.subcommand(arguments[1]) else { throw .line("ERR Invalid command specified") }
            guard found.accepts(argumentCount: arguments.count) else { throw .badCount }
            guard found.key > 0 else { throw .keyless }
            return [found.key]
        }
        guard command.firstKey > 0 else { throw .keyless }
        guard command.accepts(argumentCount: arguments.count) else { throw .badCount }
        let last = command.lastKey < 0 ? arguments.count + command.lastKey : command.lastKey
        return Array(stride(from: command.firstKey, through: last, by: command.keyStep))
    }
}

extension RESPError {
    fileprivate static let badCount = RESPError.line("ERR Invalid number of arguments specified for command")
    fileprivate static let keyless = RESPError.line("ERR The command has no key arguments")
}
