import KVBase
import KVService
import NIOCore

// MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//
// Between MULTI and EXEC commands are kept as they came. EXEC runs them into a `Capture` and makes one request of what they ask for:
// one log entry, which takes effect at once or, where a watched key has another version by then, not at all.

/// The commands of a client between MULTI and EXEC.
struct CommandQueue {
    struct Queued {
        var index: Int
        var bytes: [UInt8]
        var ranges: [ArgumentRange]
    }

    private(set) var commands: [Queued] = []
    private(set) var byteCount = 0
    /// Whether a command was refused when it came: EXEC does nothing then.
    var isRefused = false

    mutating func append(_ index: Int, _ arguments: Arguments) {
        var queued = Queued(index: index, bytes: [], ranges: [])
        for place in 0..<arguments.count {
            queued.ranges.append(ArgumentRange(offset: queued.bytes.count, count: arguments[place].count))
            queued.bytes.append(contentsOf: arguments[place])
        }
        byteCount += queued.bytes.count
        commands.append(queued)
    }
}

/// The keys of a client's WATCH and the versions that they had.
struct WatchedKeys {
    private(set) var keys: [(key: [UInt8], version: UInt64)] = []
    private var asked: [[UInt8]] = []
    /// Whether a version could not be read: EXEC must not go ahead.
    private(set) var isBroken = false

    /// Whether versions are on their way.
    var isAsking: Bool { !asked.isEmpty }
    var count: Int { keys.count + asked.count }
    var isEmpty: Bool { keys.isEmpty && !isBroken }

    mutating func ask(_ keys: [[UInt8]]) { asked = keys }

    /// Takes the versions in.
    ///
    /// A key that is watched already keeps the older version.
    mutating func take(_ aggregate: Aggregate) {
        if aggregate.errorLine != nil { isBroken = true }
        for (key, version) in zip(asked, aggregate.versions) where !keys.contains(where: { $0.key == key }) {
            keys.append((key, version))
        }
        asked = []
    }

    mutating func removeAll() { self = WatchedKeys() }
}

extension RESPConnection {
    func multi(_ arguments: Arguments) throws(RESPError) {
        guard queue == nil else { throw .line("ERR MULTI calls can not be nested") }
        queue = CommandQueue()
        replyOK()
    }

    func discard(_ arguments: Arguments) throws(RESPError) {
        guard queue != nil else { throw .line("ERR DISCARD without MULTI") }
        queue = nil
        watch.removeAll()
        replyOK()
    }

    func unwatch(_ arguments: Arguments) throws(RESPError) {
        // Within MULTI it has no effect any more: EXEC ends the watch anyway.
        if queue == nil { watch.removeAll() }
        replyOK()
    }

    func watch(_ arguments: Arguments) throws(RESPError) {
        guard queue == nil else { throw .line("ERR WATCH inside MULTI is not allowed") }
        let parts = arguments.count - 1
        guard watch.count + parts <= shared.settings.watchedKeysMax else {
            throw .line("ERR at most \(shared.settings.watchedKeysMax) keys can be watched")
        }
        var keys: [[UInt8]] = []
        for index in 1...parts { keys.append(Array(try key(arguments, index))) }
        let slots = Set((watch.keys.map(\.key) + keys).map { Slot(key: $0) })
        guard slots.count == 1 else { throw .crossSlot }
        let tag = expect(parts: parts, .watched, .read)
        pending[tag >> 20].aggregate?.versions = Array(repeating: 0, count: parts)
        watch.ask(keys)
        for part in 0..<parts { batch.head(arguments[part + 1], tag: tag + UInt64(part)) }
    }

    func exec(_ arguments: Arguments) throws(RESPError) { try exec(in: nil) }

    /// Answers a command with too few arguments or too many; an EXEC ends its transaction, as in Redis.
    func refuseArity(of name: String) {
        let line = RESPError.wrongArity(name).text
        guard name == "exec" else {
            queue?.isRefused = true
            return replyError(line)
        }
        queue = nil
        watch.removeAll()
        replyError("EXECABORT Transaction discarded because of: \(line.dropFirst("ERR ".count))")
    }

    /// Does what was queued as one request, in a session where a stamp is given.
    func exec(in stamp: SessionStamp?) throws(RESPError) {
        guard let queue else { throw .line("ERR EXEC without MULTI") }
        let watched = watch
        self.queue = nil
        watch.removeAll()
        guard !queue.isRefused else {
            throw .line("EXECABORT Transaction discarded because of previous errors.")
        }
        guard !watched.isBroken else { throw .line("EXECABORT a watched key could not be read; nothing was done") }
        let first = batch.items.count
        let capture = Capture()
        for (key, version) in watched.keys {
            key.withUnsafeBytes { batch.check($0, .version(version), tag: 0) }
        }
        capture.checks = watched.keys.count
        for command in queue.commands { run(command, capture) }
        try submit(capture, from: first, in: stamp)
    }

    /// Runs a command into a capture; what it is refused for is its answer.
    func run(_ command: CommandQueue.Queued, _ capture: Capture) {
        command.bytes.withUnsafeBytes { bytes in
            command.ranges.withUnsafeBufferPointer { ranges in
                guard let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1) else { return }
                run(command.index, Arguments(base: base, ranges: ranges), capture)
            }
        }
    }

    func run(_ index: Int, _ arguments: Arguments, _ capture: Capture) {
        self.capture = capture
        defer { self.capture = nil }
        do throws(RESPError) {
            try shared.table.handlers[index](self, arguments)
        } catch {
            let line = error.text
            capture.reply({ output, _ in output.writeError(line) }, isRESP3: isRESP3)
        }
    }

    /// Makes one request of what was captured from the item `first` on.
    private func submit(_ capture: Capture, from first: Int, in stamp: SessionStamp?) throws(RESPError) {
        let count = batch.items.count - first
        guard count > 0 else {
            return reply { output, isRESP3 in
                let empty = Reply(.done)
                output.write(empty, capture, isRESP3: isRESP3, now: shared.settings.now)
            }
        }
        guard count <= SessionLimits.transactionRequestsMax else {
            batch.removeItems(from: first)
            throw .line("EXECABORT the transaction has over \(SessionLimits.transactionRequestsMax) requests")
        }
        let slot = batch.items[first].slot
        guard batch.items[first...].allSatisfy({ $0.slot == slot }) else {
            batch.removeItems(from: first)
            throw .crossSlot
        }
        let detail = Aggregate(parts: 1, keepsValues: false)
        detail.capture = capture
        let tag = expect(.transaction, .write, detail)
        // All slots are equal, so they can be joined.
        _ = batch.joinAsTransaction(from: first, tag: tag)
        if let stamp { batch.putLastInSession(stamp) }
    }

    /// Keeps a command for EXEC.
    func enqueue(_ index: Int, _ entry: CommandTable.Entry, _ arguments: Arguments) {
        let command = shared.table.commands[index]
        current.command = UInt8(index)
        guard command.accepts(argumentCount: arguments.count) else { return refuseArity(of: command.name) }
        guard !entry.flags.contains(.alone) else {
            queue?.isRefused = true
            return replyError("ERR '\(command.name)' is not supported in a transaction")
        }
        let bytes = arguments.ranges.reduce(queue?.byteCount ?? 0) { $0 + $1.count }
        guard bytes <= shared.settings.queuedBytesMax,
            (queue?.commands.count ?? 0) < shared.settings.queuedCommandsMax
        else {
            queue?.isRefused = true
            return replyError("ERR the transaction is too long: send less between MULTI and EXEC")
        }
        queue?.append(index, arguments)
        reply { output, _ in output.writeSimple("QUEUED") }
    }
}
