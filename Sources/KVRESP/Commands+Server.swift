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
        guard let timeout = parseInteger(arguments[2]) else {
            throw .line("ERR timeout is not an integer or out of range")
        }
        guard timeout >= 0 else { throw .line("ERR timeout is negative") }
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
        if isHelp(arguments, of: "config") { return }
        guard arguments.matches(1, "GET") else {
            if arguments.matches(1, "RESETSTAT") { return replyOK() }
            if arguments.matches(1, "SET") { return try setConfiguration(arguments) }
            throw .line("ERR the configuration file is not written by the node; edit it and restart")
        }
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
        guard arguments.count % 2 == 0 else { throw .syntax }
        var changes: [() -> Void] = []
        var named: Set<String> = []
        let present = Dictionary(configuration) { first, _ in first }
        for index in stride(from: 2, to: arguments.count, by: 2) {
            let (name, value) = (arguments.text(index).lowercased(), arguments.text(index + 1))
            guard named.insert(name).inserted else {
                let word = arguments.text(index)
                throw .line("ERR CONFIG SET failed (possibly related to argument '\(word)') - duplicate parameter")
            }
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
}
