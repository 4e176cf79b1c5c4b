import KVBase
import KVService
import NIOCore

// What tools ask about keys and the node: OBJECT, MEMORY, RANDOMKEY, FLUSHALL, ROLE, SLOWLOG.

extension RESPConnection {
    /// OBJECT ENCODING | REFCOUNT | IDLETIME | FREQ key.
    func object(_ arguments: Arguments) throws(RESPError) {
        if isHelp(arguments, of: "object") { return }
        let key = try key(arguments, 2)
        if arguments.matches(1, "ENCODING") {
            batch.get(key, tag: expect(.encoding, .read), consistency: consistency)
        } else if arguments.matches(1, "REFCOUNT") {
            batch.get(key, tag: expect(.references, .read), consistency: consistency)
        } else {
            // IDLETIME and FREQ.
            throw .line("ERR no access times are kept: nothing is ever evicted")
        }
    }

    /// MEMORY USAGE key [SAMPLES n].
    func memory(_ arguments: Arguments) throws(RESPError) {
        if isHelp(arguments, of: "memory") { return }
        if arguments.count > 3 {
            guard arguments.count == 5, arguments.matches(3, "SAMPLES"), try arguments.integer(4) >= 0 else {
                throw .syntax
            }
        }
        let key = try key(arguments, 2)
        let detail = Aggregate(parts: 1, keepsValues: false)
        detail.range = (Int64(key.count), 0)
        batch.head(key, tag: expect(.memory, .read, detail), consistency: consistency)
    }

    /// Some key: one of a page that starts at a random place between the first key and the last.
    func randomKey(_ arguments: Arguments) throws(RESPError) {
        let sequence = expectCustom(.read)
        let service = self.service
        let consistency = consistency
        let end: @Sendable (Result<ScanPage, ServiceError>) -> Void = { [self] result in
            switch result {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success(let page):
                let key = page.rows.randomElement()?.key
                finish(sequence) { output, isRESP3 in
                    guard let key else { return output.writeNull(isRESP3: isRESP3) }
                    key.withUnsafeBytes { output.writeBulk($0) }
                }
            }
        }
        let first = ScanRequest(limit: 100, keysOnly: true, consistency: consistency)
        service.scan(first) { result in
            guard case .success(let page) = result, page.hasMore else { return end(result) }
            // 16 random bytes behind the first key's own first byte: most key sets share a prefix, and a page that is empty falls back.
            let last = ScanRequest(limit: 1, isReversed: true, keysOnly: true, consistency: consistency)
            service.scan(last) { found in
                guard case .success(let tail) = found, let low = page.rows.first?.key, let high = tail.rows.first?.key
                else { return end(found) }
                let start = between(low, high)
                service.scan(ScanRequest(start: start, limit: 100, keysOnly: true, consistency: consistency)) {
                    result in
                    if case .success(let middle) = result, middle.rows.isEmpty {
                        end(.success(page))
                    } else {
                        end(result)
                    }
                }
            }
        }
    }

    func flush(_ arguments: Arguments) throws(RESPError) {
        if arguments.count > 1 {
            let isKnown = arguments.matches(1, "ASYNC") || arguments.matches(1, "SYNC")
            guard arguments.count == 2, isKnown else { throw .syntax }
        }
        let sequence = expectCustom(.write)
        service.submit(.clear) { [self] result in
            switch result {
            case .failure(let error): finish(sequence, .failed) { output, _ in output.writeError(error.respLine) }
            case .success: finish(sequence) { output, _ in output.writeStaticString("+OK\r\n") }
            }
        }
    }

    /// Every node takes writes, so each calls itself master.
    func role(_ arguments: Arguments) throws(RESPError) {
        reply { output, _ in
            output.writeArrayHead(3)
            output.writeBulk("master")
            output.writeNumber(0)
            output.writeArrayHead(0)
        }
    }

    /// SLOWLOG GET [n] | LEN | RESET.
    func slowLog(_ arguments: Arguments) throws(RESPError) {
        let log = shared.slowLog
        if isHelp(arguments, of: "slowlog") { return }
        if arguments.matches(1, "LEN") {
            let count = log.count
            reply { output, _ in output.writeNumber(Int64(count)) }
        } else if arguments.matches(1, "RESET") {
            log.removeAll()
            replyOK()
        } else if arguments.matches(1, "GET"), arguments.count <= 3 {
            var limit = 10
            if arguments.count == 3 {
                guard let asked = parseInteger(arguments[2]), asked >= -1 else {
                    throw .line("ERR count should be greater than or equal to -1")
                }
                limit = asked == -1 ? .max : Int(asked)
            }
            let entries = log.latest(limit)
            let names = shared.table.commands.map(\.name) + ["other"]
            reply { output, _ in
                output.writeArrayHead(entries.count)
                for entry in entries { output.write(entry, names) }
            }
        } else {
            throw .line(
                "ERR unknown subcommand or wrong number of arguments for '\(arguments.text(1))'. Try SLOWLOG HELP."
            )
        }
    }
}

extension ByteBuffer {
    /// An entry as Redis gives it.
    ///
    /// Arguments are not kept: keys and values never get into logs.
    fileprivate mutating func write(_ entry: SlowLog.Entry, _ names: [String]) {
        writeArrayHead(6)
        writeNumber(Int64(clamping: entry.id))
        writeNumber(Int64(clamping: entry.at / 1_000))
        writeNumber(Int64(clamping: entry.microseconds))
        writeArrayHead(entry.count > 1 ? 2 : 1)
        writeBulk(names[Int(entry.command)])
        if entry.count > 1 { writeBulk("(\(entry.count) of them in one burst)") }
        writeBulk("")
        writeBulk("")
    }
}

/// A key somewhere between two keys: what they share, then bytes at random between the first that differ.
private func between(_ low: [UInt8], _ high: [UInt8]) -> [UInt8] {
    var start: [UInt8] = []
    var index = 0
    while index < low.count, index < high.count, low[index] == high[index] {
        start.append(low[index])
        index += 1
    }
    let least = index < low.count ? low[index] : 0
    let most = index < high.count ? high[index] : .max
    start.append(UInt8.random(in: least...max(least, most)))
    for _ in 0..<16 { start.append(UInt8.random(in: 0x20...0x7e)) }
    return start
}
