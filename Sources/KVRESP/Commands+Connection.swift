import KVService
import NIOCore

extension RESPConnection {
    func ping(_ arguments: Arguments) throws(RESPError) {
        guard arguments.count <= 2 else { throw .wrongArity("ping") }
        reply { output, _ in
            if arguments.count == 2 { output.writeBulk(arguments[1]) } else { output.writeStaticString("+PONG\r\n") }
        }
    }

    func echo(_ arguments: Arguments) throws(RESPError) {
        reply { output, _ in output.writeBulk(arguments[1]) }
    }

    func select(_ arguments: Arguments) throws(RESPError) {
        guard let index = parseInteger(arguments[1]) else { throw .notAnInteger }
        guard index == 0 else { throw .line("ERR DB index is out of range") }
        replyOK()
    }

    func quit(_ arguments: Arguments) throws(RESPError) {
        replyOK()
        closeWhenAnswered()
    }

    func resetConnection(_ arguments: Arguments) throws(RESPError) {
        isRESP3 = false
        consistency = .linearizable
        queue = nil
        watch.removeAll()
        service.begin(as: nil)
        info.names.withLock { $0 = ClientInfo.Names() }
        reply { output, _ in output.writeSimple("RESET") }
    }

    func setStaleReads(_ isStale: Bool) {
        consistency = isStale ? .stale : .linearizable
        info.names.withLock { $0.isReadOnly = isStale }
        replyOK()
    }

    func asking(_ arguments: Arguments) throws(RESPError) { replyOK() }

    func replyOK() {
        reply { output, _ in output.writeStaticString("+OK\r\n") }
    }

    func client(_ arguments: Arguments) throws(RESPError) {
        if arguments.matches(1, "ID"), arguments.count == 2 {
            let id = Int64(clamping: info.id)
            reply { output, _ in output.writeNumber(id) }
        } else if arguments.matches(1, "SETNAME"), arguments.count == 3 {
            let name = try Self.clientName(arguments, 2)
            info.names.withLock { $0.name = name }
            replyOK()
        } else if arguments.matches(1, "GETNAME"), arguments.count == 2 {
            let name = info.names.withLock { $0.name }
            reply { output, isRESP3 in
                if name.isEmpty { output.writeNull(isRESP3: isRESP3) } else { output.writeBulk(name) }
            }
        } else if arguments.matches(1, "SETINFO"), arguments.count == 4 {
            try setClientInfo(arguments)
        } else if arguments.matches(1, "LIST") || arguments.matches(1, "KILL"), !service.isAdministrator {
            throw .line("NOPERM only administrators may see and close the connections of others")
        } else if arguments.matches(1, "LIST") || (arguments.matches(1, "INFO") && arguments.count == 2) {
            let now = shared.settings.now()
            let clients = arguments.matches(1, "INFO") ? [info] : shared.clients
            let text = clients.map { $0.line(now: now) + "\n" }.joined()
            reply { output, isRESP3 in output.writeText(text, isRESP3: isRESP3) }
        } else if arguments.matches(1, "KILL"), arguments.count >= 3 {
            try killClients(arguments)
        } else if arguments.matches(1, "REPLY"), arguments.count == 3 {
            guard arguments.matches(2, "ON") else { throw .line("ERR CLIENT REPLY: only ON is supported") }
            replyOK()
        } else if arguments.matches(1, "TRACKING"), arguments.count == 3 {
            guard arguments.matches(2, "OFF") else { throw .line("ERR CLIENT TRACKING: only OFF is supported") }
            replyOK()
        } else if arguments.matches(1, "GETREDIR"), arguments.count == 2 {
            reply { output, _ in output.writeNumber(-1) }
        } else if arguments.matches(1, "NO-EVICT") || arguments.matches(1, "NO-TOUCH"), arguments.count == 3 {
            guard arguments.matches(2, "ON") || arguments.matches(2, "OFF") else { throw .syntax }
            replyOK()
        } else {
            throw unknownSubcommand(arguments, "CLIENT")
        }
    }

    /// CLIENT KILL address, or CLIENT KILL [ID id] [ADDR address] [SKIPME yes|no].
    private func killClients(_ arguments: Arguments) throws(RESPError) {
        var address: String?
        var id: UInt64?
        var spares = true
        if arguments.count == 3 {
            address = arguments.text(2)
            spares = false
        } else {
            guard arguments.count % 2 == 0 else { throw .syntax }
            for index in stride(from: 2, to: arguments.count, by: 2) {
                if arguments.matches(index, "ID") {
                    id = UInt64(clamping: try arguments.integer(index + 1))
                } else if arguments.matches(index, "ADDR") {
                    address = arguments.text(index + 1)
                } else if arguments.matches(index, "SKIPME") {
                    spares = !arguments.matches(index + 1, "NO")
                } else {
                    throw .syntax
                }
            }
        }
        let own = info.id
        let found = shared.connections.filter { connection in
            (id.map { $0 == connection.info.id } ?? true)
                && (address.map { $0 == connection.info.remoteAddress } ?? true)
                && !(spares && connection.info.id == own)
        }
        for connection in found where connection !== self {
            connection.loop.eventLoop.execute { connection.closeNow() }
        }
        if arguments.count == 3, found.isEmpty { throw .line("ERR No such client") }
        reply { [isLegacy = arguments.count == 3] output, _ in
            if isLegacy { output.writeStaticString("+OK\r\n") } else { output.writeNumber(Int64(found.count)) }
        }
        if found.contains(where: { $0 === self }) { closeWhenAnswered() }
    }

    func unknownSubcommand(_ arguments: Arguments, _ command: String) -> RESPError {
        .line("ERR unknown subcommand or wrong number of arguments for '\(arguments.text(1))'. Try \(command) HELP.")
    }

    private func setClientInfo(_ arguments: Arguments) throws(RESPError) {
        let value = try Self.clientName(arguments, 3)
        if arguments.matches(2, "LIB-NAME") {
            info.names.withLock { $0.libraryName = value }
        } else if arguments.matches(2, "LIB-VER") {
            info.names.withLock { $0.libraryVersion = value }
        } else {
            throw .line("ERR Unrecognized option '\(arguments.text(2))'")
        }
        replyOK()
    }

    /// Names go into CLIENT LIST's lines: printable ASCII without spaces.
    static func clientName(_ arguments: Arguments, _ index: Int) throws(RESPError) -> String {
        guard arguments[index].count <= 256, arguments[index].allSatisfy({ $0 >= 0x21 && $0 <= 0x7e }) else {
            throw .line("ERR Client names cannot contain spaces, newlines or special characters.")
        }
        return arguments.text(index)
    }
}

extension ClientInfo {
    /// The client's line of CLIENT LIST.
    func line(now: UInt64) -> String {
        let names = names.withLock { $0 }
        let age = now > connectedAt ? (now - connectedAt) / 1_000 : 0
        return "id=\(id) addr=\(remoteAddress) laddr=\(localAddress) fd=-1 name=\(names.name) age=\(age) idle=0 flags="
            + "\(names.isReadOnly ? "r" : "N") db=0 sub=0 psub=0 ssub=0 multi=-1 watch=0 qbuf=0 qbuf-free=0 obl=0 oll=0 omem=0"
            + " events=r cmd=NULL user=\(names.user) redir=-1 resp=\(names.isRESP3 ? 3 : 2) lib-name=\(names.libraryName) "
            + "lib-ver=\(names.libraryVersion)"
    }
}
