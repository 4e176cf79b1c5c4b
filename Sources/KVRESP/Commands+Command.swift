import KVService
import NIOCore

// COMMAND: what there is, for clients that look.

extension RESPConnection {
    func command(_ arguments: Arguments) throws(RESPError) {
        if isHelp(arguments, of: "command") { return }
        let table = shared.table
        if arguments.count == 1 {
            describe(table.commands.map { .whole($0) })
        } else if arguments.matches(1, "LIST") {
            try listCommands(arguments)
        } else if arguments.matches(1, "GETKEYS") {
            try commandKeys(arguments.dropping(2), withFlags: false)
        } else if arguments.matches(1, "GETKEYSANDFLAGS") {
            try commandKeys(arguments.dropping(2), withFlags: true)
        } else if arguments.matches(1, "COUNT") {
            reply { output, _ in output.writeNumber(Int64(table.commands.count)) }
        } else if arguments.matches(1, "INFO") {
            describe(arguments.count == 2 ? table.commands.map { .whole($0) } : found(arguments))
        } else {
            // DOCS.
            let named = arguments.count == 2 ? table.commands.map { .whole($0) } : found(arguments).compactMap { $0 }
            reply { output, isRESP3 in
                output.writeMapHead(named.count, isRESP3: isRESP3)
                for one in named { output.writeDocumentation(one, isRESP3: isRESP3) }
            }
        }
    }

    private func describe(_ all: [Described?]) {
        reply { output, isRESP3 in
            output.writeArrayHead(all.count)
            for one in all {
                if let one { output.write(one, isRESP3: isRESP3) } else { output.writeNull(isRESP3: isRESP3) }
            }
        }
    }

    /// What the arguments behind the subcommand name, each like `get` or `config|get`.
    private func found(_ arguments: Arguments) -> [Described?] {
        (2..<arguments.count).map { place in
            let bytes = arguments[place]
            guard let bar = bytes.firstIndex(of: UInt8(ascii: "|")) else {
                return shared.table.find(bytes).map { .whole(shared.table.commands[$0]) }
            }
            guard let index = shared.table.find(UnsafeRawBufferPointer(rebasing: bytes[..<bar])) else { return nil }
            let command = shared.table.commands[index]
            return command.subcommand(UnsafeRawBufferPointer(rebasing: bytes[(bar + 1)...])).map { .part(command, $0) }
        }
    }

    /// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob].
    private func listCommands(_ arguments: Arguments) throws(RESPError) {
        var accepts: (Described) -> Bool = { _ in true }
        if arguments.count > 2 {
            guard arguments.count == 5, arguments.matches(2, "FILTERBY") else { throw .syntax }
            let asked = arguments.text(4)
            if arguments.matches(3, "MODULE") {
                // There are no modules.
                accepts = { _ in false }
            } else if arguments.matches(3, "ACLCAT") {
                accepts = { $0.command.categories.contains(asked.lowercased()) }
            } else if arguments.matches(3, "PATTERN") {
                let pattern = GlobPattern(Array(asked.lowercased().utf8))
                accepts = { pattern.matches(Array($0.name.utf8)) }
            } else {
                throw .syntax
            }
        }
        let all = shared.table.commands.flatMap { command in
            [Described.whole(command)] + command.subcommands.map { .part(command, $0) }
        }
        let names = all.filter(accepts).map(\.name)
        reply { output, _ in
            output.writeArrayHead(names.count)
            for name in names { output.writeBulk(name) }
        }
    }
}

/// A command, or what a container command can be asked for.
private enum Described {
    case whole(Command)
    case part(Command, Subcommand)

    var command: Command {
        switch self {
        case .whole(let command), .part(let command, _): command
        }
    }

    var name: String {
        switch self {
        case .whole(let command): command.name
        case .part(let command, let part): "\(command.name)|\(part.name)"
        }
    }

    var summary: String {
        switch self {
        case .whole(let command): command.summary
        case .part(_, let part): part.summary
        }
    }
}

extension Command {
    /// The categories that Redis would put it in.
    fileprivate var categories: Set<String> {
        var found: Set<String> = [flags.contains(.fast) ? "fast" : "slow"]
        found.insert(group == "generic" ? "keyspace" : group == "transactions" ? "transaction" : group)
        if firstKey > 0 || group == "generic" {
            if flags.contains(.write) { found.insert("write") }
            if flags.contains(.readOnly) { found.insert("read") }
        }
        if flags.contains(.admin) { found.formUnion(["admin", "dangerous"]) }
        return found
    }
}

extension ByteBuffer {
    /// A command as COMMAND INFO describes it.
    fileprivate mutating func write(_ one: Described, isRESP3: Bool) {
        let command = one.command
        writeArrayHead(10)
        writeBulk(one.name)
        switch one {
        case .whole: writeNumber(Int64(command.arity))
        case .part(_, let part): writeNumber(Int64(part.arity))
        }
        writeSetHead(command.flagNames.count, isRESP3: isRESP3)
        for flag in command.flagNames {
            writeStaticString("+")
            writeString(flag)
            writeStaticString("\r\n")
        }
        switch one {
        case .whole:
            for number in [command.firstKey, command.lastKey, command.keyStep] { writeNumber(Int64(number)) }
        case .part(_, let part):
            for number in [part.key, part.key, part.key > 0 ? 1 : 0] { writeNumber(Int64(number)) }
        }
        for _ in 0..<3 { writeSetHead(0, isRESP3: isRESP3) }
        guard case .whole = one else { return writeArrayHead(0) }
        let parts = command.subcommands
        writeArrayHead(parts.count)
        for part in parts { write(.part(command, part), isRESP3: isRESP3) }
    }

    fileprivate mutating func writeDocumentation(_ one: Described, isRESP3: Bool) {
        writeBulk(one.name)
        writeMapHead(3, isRESP3: isRESP3)
        writeBulk("summary")
        writeBulk(one.summary)
        writeBulk("since")
        writeBulk("1.0.0")
        writeBulk("group")
        writeBulk(one.command.group)
    }
}
