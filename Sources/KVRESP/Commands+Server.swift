import KVBase
import KVService
import NIOCore

/// The Redis whose behaviour this follows, for clients that look.
let redisVersion = "7.4.0"

extension RESPConnection {
    func time(_ arguments: Arguments) throws(RESPError) {
        let now = shared.settings.now()
        reply { output, _ in
            output.writeArrayHead(2)
            output.writeBulk(String(now / 1_000))
            output.writeBulk(String(now % 1_000 * 1_000))
        }
    }

    /// WAIT replicas timeout: every acknowledged write is on a majority, this node's own storage not counted.
    func wait(_ arguments: Arguments) throws(RESPError) {
        _ = try arguments.integer(1)
        guard try arguments.integer(2) >= 0 else { throw .line("ERR timeout is negative") }
        let sequence = expectCustom()
        shared.service.status { [self] status in
            let nodes = status.peers.count + 1
            finish(sequence) { output, _ in output.writeNumber(Int64(nodes / 2)) }
        }
    }

    func info(_ arguments: Arguments) throws(RESPError) {
        let sections = Set((1..<max(1, arguments.count)).map { arguments.text($0).lowercased() })
        let sequence = expectCustom()
        let shared = shared
        shared.service.status { [self] status in
            let writer = InfoWriter(status: status, shared: shared)
            // Counting keys reads all data; it is asked for by name only.
            guard sections.contains("keyspace") else {
                let text = writer.text(sections, keys: nil)
                return finish(sequence) { output, isRESP3 in output.writeText(text, isRESP3: isRESP3) }
            }
            service.count(.stale) { [self] result in
                // Without the count the section is empty; the reason is in the metrics.
                let text = writer.text(sections, keys: try? result.get())
                finish(sequence) { output, isRESP3 in output.writeText(text, isRESP3: isRESP3) }
            }
        }
    }

    func config(_ arguments: Arguments) throws(RESPError) {
        guard arguments.matches(1, "GET") else {
            if arguments.matches(1, "RESETSTAT") { return replyOK() }
            if arguments.matches(1, "SET"), arguments.count >= 4, arguments.count % 2 == 0 {
                return try setConfiguration(arguments)
            }
            if arguments.matches(1, "REWRITE") {
                throw .line("ERR the configuration file is not written by the node; edit it and restart")
            }
            throw unknownSubcommand(arguments, "CONFIG")
        }
        guard arguments.count > 2 else { throw .wrongArity("config|get") }
        let values = configuration
        let patterns = (2..<arguments.count).map { GlobPattern(Array(arguments.text($0).lowercased().utf8)) }
        let found = values.filter { row in patterns.contains { $0.matches(Array(row.0.utf8)) } }
        reply { output, isRESP3 in
            output.writeMapHead(found.count, isRESP3: isRESP3)
            for (name, value) in found {
                output.writeBulk(name)
                output.writeBulk(value)
            }
        }
    }

    /// What tools ask for.
    ///
    /// Every write is on a majority's disks before it is answered: `appendfsync always`.
    private var configuration: [(String, String)] {
        [
            ("appendfsync", "always"), ("appendonly", "yes"), ("databases", "1"),
            ("maxclients", String(shared.connectionsMax.load(ordering: .relaxed))), ("maxmemory", "0"),
            ("maxmemory-policy", "noeviction"),
            ("proto-max-bulk-len", String(shared.limits.valueBytesMax)), ("save", ""),
            ("slowlog-log-slower-than", String(shared.slowLog.thresholdMicroseconds)),
            ("slowlog-max-len", String(shared.slowLog.lengthMax)), ("timeout", "0"),
        ]
    }

    /// CONFIG SET name value …: what can change while the node runs, here only and until it restarts; what is fixed may be set to what
    /// it is.
    private func setConfiguration(_ arguments: Arguments) throws(RESPError) {
        var changes: [() -> Void] = []
        let present = Dictionary(configuration) { first, _ in first }
        for index in stride(from: 2, to: arguments.count, by: 2) {
            let (name, value) = (arguments.text(index).lowercased(), arguments.text(index + 1))
            let (slowLog, connectionsMax) = (shared.slowLog, shared.connectionsMaxChange)
            switch name {
            case "slowlog-log-slower-than":
                changes.append({ [number = try number(value, -1...Int64.max, name)] in
                    slowLog.thresholdMicroseconds = number
                })
            case "slowlog-max-len":
                changes.append({ [number = try number(value, 0...Int64(SlowLog.lengthLimit), name)] in
                    slowLog.lengthMax = Int(number)
                })
            case "maxclients":
                changes.append({ [number = try number(value, 1...Int64(shared.settings.connectionsMax), name)] in
                    connectionsMax(Int(number))
                })
            default:
                guard let fixed = present[name] else {
                    throw .line("ERR Unknown option or number of arguments for CONFIG SET - '\(name)'")
                }
                guard fixed == value else {
                    throw .line("ERR CONFIG SET '\(name)' - it is '\(fixed)' and cannot change while the node runs")
                }
            }
        }
        for change in changes { change() }
        replyOK()
    }

    private func number(_ text: String, _ bounds: ClosedRange<Int64>, _ name: String) throws(RESPError) -> Int64 {
        guard let number = Int64(text), bounds.contains(number) else {
            throw .line("ERR CONFIG SET '\(name)' - it takes \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return number
    }

    func command(_ arguments: Arguments) throws(RESPError) {
        let table = shared.table
        if arguments.count == 1 {
            reply { output, isRESP3 in
                output.writeArrayHead(table.commands.count)
                for command in table.commands { output.write(command, isRESP3: isRESP3) }
            }
        } else if arguments.matches(1, "LIST"), arguments.count == 2 {
            reply { output, _ in
                output.writeArrayHead(table.commands.count)
                for command in table.commands { output.writeBulk(command.name) }
            }
        } else if arguments.matches(1, "GETKEYS"), arguments.count > 2 {
            try commandKeys(arguments.dropping(2))
        } else if arguments.matches(1, "COUNT"), arguments.count == 2 {
            reply { output, _ in output.writeNumber(Int64(table.commands.count)) }
        } else if arguments.matches(1, "INFO") {
            let found = (2..<max(2, arguments.count)).map { table.find(arguments[$0]) }
            let all = arguments.count == 2 ? table.commands.indices.map { $0 } : found
            reply { output, isRESP3 in
                output.writeArrayHead(all.count)
                for index in all {
                    if let index {
                        output.write(table.commands[index], isRESP3: isRESP3)
                    } else {
                        output.writeNull(isRESP3: isRESP3)
                    }
                }
            }
        } else if arguments.matches(1, "DOCS") {
            let named = (2..<max(2, arguments.count)).compactMap { table.find(arguments[$0]) }
            let all = arguments.count == 2 ? table.commands.indices.map { $0 } : named
            reply { output, isRESP3 in
                output.writeMapHead(all.count, isRESP3: isRESP3)
                for index in all { output.writeDocumentation(table.commands[index], isRESP3: isRESP3) }
            }
        } else {
            throw unknownSubcommand(arguments, "COMMAND")
        }
    }
}

extension RESPConnection {
    /// COMMAND GETKEYS command argument ….
    private func commandKeys(_ arguments: Arguments) throws(RESPError) {
        guard let index = shared.table.find(arguments[0]) else { throw .line("ERR Invalid command specified") }
        let command = shared.table.commands[index]
        guard command.accepts(argumentCount: arguments.count) else {
            throw .line("ERR Invalid number of arguments specified for command")
        }
        guard command.firstKey > 0 else { throw .line("ERR The command has no key arguments") }
        let last = command.lastKey < 0 ? arguments.count + command.lastKey : command.lastKey
        let places = Array(stride(from: command.firstKey, through: last, by: command.keyStep))
        reply { output, _ in
            output.writeArrayHead(places.count)
            for place in places { output.writeBulk(arguments[place]) }
        }
    }
}

extension ByteBuffer {
    /// A command as COMMAND INFO describes it.
    fileprivate mutating func write(_ command: Command, isRESP3: Bool) {
        writeArrayHead(10)
        writeBulk(command.name)
        writeNumber(Int64(command.arity))
        writeSetHead(command.flagNames.count, isRESP3: isRESP3)
        for flag in command.flagNames {
            writeStaticString("+")
            writeString(flag)
            writeStaticString("\r\n")
        }
        writeNumber(Int64(command.firstKey))
        writeNumber(Int64(command.lastKey))
        writeNumber(Int64(command.keyStep))
        for _ in 0..<3 { writeSetHead(0, isRESP3: isRESP3) }
        writeArrayHead(0)
    }

    fileprivate mutating func writeDocumentation(_ command: Command, isRESP3: Bool) {
        writeBulk(command.name)
        writeMapHead(3, isRESP3: isRESP3)
        writeBulk("summary")
        writeBulk(command.summary)
        writeBulk("since")
        writeBulk("1.0.0")
        writeBulk("group")
        writeBulk(command.group)
    }
}
