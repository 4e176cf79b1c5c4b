import KVService
import NIOCore

// Who a client is: AUTH, HELLO … AUTH, and what is refused before it is known.

extension RESPConnection {
    private static let noAuthentication = "NOAUTH Authentication required."
    private static let wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

    /// Why a command is not served to who the client is; nil where it is.
    func refusal(of entry: CommandTable.Entry) -> String? {
        guard let control = shared.authenticator?.control, control.isRequired else { return nil }
        if service.isLocked { return entry.flags.contains(.open) ? nil : Self.noAuthentication }
        guard entry.flags.contains(.admin), !service.isAdministrator else { return nil }
        return "NOPERM only administrators may run this command"
    }

    /// One line for each command by which an administrator changes something.
    func audit(_ arguments: Arguments) {
        let isChange =
            arguments.matches(0, "FLUSHALL") || arguments.matches(0, "FLUSHDB")
            || (arguments.count > 1 && (arguments.matches(1, "SET") || arguments.matches(1, "RESET")))
        guard isChange else { return }
        let action = (0..<min(2, arguments.count)).map { arguments.text($0) }.joined(separator: " ")
        shared.logger.notice(
            "audit",
            metadata: .keys([.user: service.name, .action: String(action.prefix(64)), .address: host])
        )
    }

    /// Closes the connection where its client has not said in time who it is.
    func limitStranger() {
        guard let control = shared.authenticator?.control, control.isRequired else { return }
        let timeout = shared.settings.authenticationTimeout
        loop.eventLoop.scheduleTask(in: .nanoseconds(Int64(timeout / .nanoseconds(1)))) { [weak self] in
            guard let self, self.service.isLocked else { return }
            self.closeNow()
        }
    }

    /// AUTH [user] password; without a user it is `default`.
    func authenticate(_ arguments: Arguments) throws(RESPError) {
        guard arguments.count <= 3 else { throw .syntax }
        let name = arguments.count == 3 ? arguments.text(1) : "default"
        try prove(name, [UInt8](arguments[arguments.count - 1])) { output, _ in output.writeStaticString("+OK\r\n") }
    }

    /// HELLO [protocol [AUTH user password] [SETNAME name]].
    func hello(_ arguments: Arguments) throws(RESPError) {
        var version: Int64?
        var name: String?
        var credentials: (name: String, password: [UInt8])?
        if arguments.count > 1 {
            guard let number = parseInteger(arguments[1]) else {
                throw .line("ERR Protocol version is not an integer or out of range")
            }
            guard number == 2 || number == 3 else { throw .line("NOPROTO unsupported protocol version") }
            version = number
        }
        var index = 2
        while index < arguments.count {
            if arguments.matches(index, "AUTH"), index + 2 < arguments.count {
                credentials = (arguments.text(index + 1), [UInt8](arguments[index + 2]))
                index += 3
            } else if arguments.matches(index, "SETNAME"), index + 1 < arguments.count {
                name = try Self.clientName(arguments, index + 1)
                index += 2
            } else {
                throw .line("ERR Syntax error in HELLO option '\(arguments.text(index))'")
            }
        }
        let wanted = version.map { $0 == 3 } ?? isRESP3
        if let credentials {
            try prove(credentials.name, credentials.password) { [self, name] output, _ in
                greet(&output, isRESP3: wanted, name)
            }
        } else if service.isLocked {
            throw .line(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass>"
                    + " option can be used to authenticate the client and select the RESP protocol version at the same time"
            )
        } else {
            isRESP3 = wanted
            reply { [self, name] output, _ in greet(&output, isRESP3: wanted, name) }
        }
    }

    /// Takes over what HELLO chose, and answers it.
    private func greet(_ output: inout ByteBuffer, isRESP3: Bool, _ name: String?) {
        self.isRESP3 = isRESP3
        info.names.withLock { names in
            names.isRESP3 = isRESP3
            if let name { names.name = name }
        }
        output.writeMapHead(7, isRESP3: isRESP3)
        output.writeBulk("server")
        output.writeBulk("redis")
        output.writeBulk("version")
        output.writeBulk(redisVersion)
        output.writeBulk("proto")
        output.writeNumber(isRESP3 ? 3 : 2)
        output.writeBulk("id")
        output.writeNumber(Int64(clamping: info.id))
        output.writeBulk("mode")
        output.writeBulk(shared.settings.isRedirecting ? "cluster" : "standalone")
        output.writeBulk("role")
        output.writeBulk("master")
        output.writeBulk("modules")
        output.writeArrayHead(0)
    }

    /// Has a password checked; the client's next commands wait for the outcome.
    ///
    /// `answer` is called on the loop where it is right, once the client is who it says.
    private func prove(
        _ name: String,
        _ password: [UInt8],
        _ answer: @escaping @Sendable (inout ByteBuffer, Bool) -> Void
    ) throws(RESPError) {
        guard let authenticator = shared.authenticator else {
            throw .line(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration"
                    + " is correct?"
            )
        }
        guard capture == nil else { throw .line("ERR AUTH cannot be queued") }
        isAuthenticating = true
        let sequence = expectCustom()
        authenticator.prove(name, password: password, from: host) { [self] result in
            // Not inside this call: the reply is written when the command has been taken.
            loop.eventLoop.execute { [self] in settle(result, sequence, answer) }
        }
    }

    private func settle(
        _ result: Result<Principal, ServiceError>,
        _ sequence: UInt64,
        _ answer: @escaping @Sendable (inout ByteBuffer, Bool) -> Void
    ) {
        isAuthenticating = false
        switch result {
        case .success(let principal):
            service.begin(as: principal)
            info.names.withLock { $0.user = principal.name }
            finish(sequence, .ok, answer)
        case .failure(let error):
            let line = error.code == .unauthenticated ? Self.wrongPassword : error.respLine
            shared.logger.notice("authentication failed", metadata: .keys([.client: "\(info.id)", .address: host]))
            finish(sequence, .failed) { output, _ in output.writeError(line) }
        }
    }

    /// The client's address without its port: who counts failed attempts.
    private var host: String {
        info.remoteAddress.lastIndex(of: ":").map { String(info.remoteAddress[..<$0]) } ?? info.remoteAddress
    }
}
