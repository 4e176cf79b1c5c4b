import KVService
import NIOCore

// Who is connected: CLIENT LIST and CLIENT KILL.

extension RESPConnection {
    func tell(of clients: [ClientInfo]) {
        let now = shared.settings.now()
        let text = clients.map { $0.line(now: now) + "\n" }.joined()
        reply { output, isRESP3 in output.writeText(text, isRESP3: isRESP3) }
    }

    /// CLIENT LIST [TYPE type | ID id …].
    func listClients(_ arguments: Arguments) throws(RESPError) {
        if arguments.count == 2 { return tell(of: shared.clients) }
        if arguments.count == 4, arguments.matches(2, "TYPE") {
            return tell(of: try isNormal(arguments, 3) ? shared.clients : [])
        }
        guard arguments.count > 3, arguments.matches(2, "ID") else { throw .syntax }
        var asked: Set<UInt64> = []
        for index in 3..<arguments.count {
            guard let id = parseInteger(arguments[index]), id > 0 else { throw .line("ERR Invalid client ID") }
            asked.insert(UInt64(id))
        }
        tell(of: shared.clients.filter { asked.contains($0.id) })
    }

    /// Whether a type of connection is the one that there is.
    private func isNormal(_ arguments: Arguments, _ index: Int) throws(RESPError) -> Bool {
        if arguments.matches(index, "NORMAL") { return true }
        guard
            arguments.matches(index, "MASTER") || arguments.matches(index, "REPLICA")
                || arguments.matches(index, "SLAVE") || arguments.matches(index, "PUBSUB")
        else { throw .line("ERR Unknown client type '\(arguments.text(index))'") }
        return false
    }

    /// CLIENT KILL address, or CLIENT KILL [ID id] [ADDR address] [LADDR address] [USER name] [TYPE type] [SKIPME yes|no].
    func killClients(_ arguments: Arguments) throws(RESPError) {
        let chosen = try arguments.count == 3 ? ClientChoice(address: arguments.text(2)) : choice(arguments)
        let own = info.id
        let found = shared.connections.filter { connection in
            chosen.includes(connection.info) && !(chosen.sparesOwn && connection.info.id == own)
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

    private func choice(_ arguments: Arguments) throws(RESPError) -> ClientChoice {
        var chosen = ClientChoice(sparesOwn: true)
        for index in stride(from: 2, to: arguments.count, by: 2) {
            guard index + 1 < arguments.count else { throw .syntax }
            if arguments.matches(index, "ID") {
                guard let id = parseInteger(arguments[index + 1]), id > 0 else {
                    throw .line("ERR client-id should be greater than 0")
                }
                chosen.id = UInt64(id)
            } else if arguments.matches(index, "TYPE") {
                chosen.isNormal = try isNormal(arguments, index + 1)
            } else if arguments.matches(index, "ADDR") {
                chosen.address = arguments.text(index + 1)
            } else if arguments.matches(index, "LADDR") {
                chosen.localAddress = arguments.text(index + 1)
            } else if arguments.matches(index, "USER") {
                let name = arguments.text(index + 1)
                guard shared.isUser(name) else { throw .line("ERR No such user '\(name)'") }
                chosen.user = name
            } else if arguments.matches(index, "SKIPME") {
                guard arguments.matches(index + 1, "YES") || arguments.matches(index + 1, "NO") else { throw .syntax }
                chosen.sparesOwn = arguments.matches(index + 1, "YES")
            } else {
                throw .syntax
            }
        }
        return chosen
    }
}

/// Which connections CLIENT KILL means: those that are all of what was said.
private struct ClientChoice {
    var id: UInt64?
    var address: String?
    var localAddress: String?
    var user: String?
    var isNormal = true
    var sparesOwn = false

    func includes(_ info: ClientInfo) -> Bool {
        isNormal && (id.map { $0 == info.id } ?? true) && (address.map { $0 == info.remoteAddress } ?? true)
            && (localAddress.map { $0 == info.localAddress } ?? true)
            && (user.map { name in info.names.withLock { $0.user == name } } ?? true)
    }
}
