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
        if isHelp(arguments, of: "client") { return }
        if arguments.matches(1, "ID") {
            let id = Int64(clamping: info.id)
            reply { output, _ in output.writeNumber(id) }
        } else if arguments.matches(1, "SETNAME") {
            let name = try Self.clientName(arguments, 2)
            info.names.withLock { $0.name = name }
            replyOK()
        } else if arguments.matches(1, "GETNAME") {
            let name = info.names.withLock { $0.name }
            reply { output, isRESP3 in
                if name.isEmpty { output.writeNull(isRESP3: isRESP3) } else { output.writeBulk(name) }
            }
        } else if arguments.matches(1, "SETINFO") {
            try setClientInfo(arguments)
        } else if arguments.matches(1, "INFO") {
            tell(of: [info])
        } else if arguments.matches(1, "LIST") || arguments.matches(1, "KILL") {
            guard service.isAdministrator else {
                throw .line("NOPERM only administrators may see and close the connections of others")
            }
            if arguments.matches(1, "LIST") { try listClients(arguments) } else { try killClients(arguments) }
        } else if arguments.matches(1, "REPLY") {
            guard arguments.matches(2, "ON") else { throw .line("ERR CLIENT REPLY: only ON is supported") }
            replyOK()
        } else if arguments.matches(1, "TRACKING") {
            guard arguments.matches(2, "OFF") else { throw .line("ERR CLIENT TRACKING: only OFF is supported") }
            replyOK()
        } else if arguments.matches(1, "GETREDIR") {
            reply { output, _ in output.writeNumber(-1) }
        } else {
            // NO-EVICT and NO-TOUCH.
            guard arguments.matches(2, "ON") || arguments.matches(2, "OFF") else { throw .syntax }
            replyOK()
        }
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
