// The commands whose first argument says what they do. What is asked of one is checked when it comes, so that MULTI refuses it then.

/// What a container command can be asked for.
struct Subcommand: Sendable {
    /// In lower case.
    let name: String
    /// How many arguments it takes, both names included; negative: at least so many.
    let arity: Int
    /// The place of its key; 0 for none.
    let key: Int
    /// How it is written, behind the container's name.
    let usage: String
    let summary: String

    init(_ name: String, _ arity: Int, key: Int = 0, _ usage: String, _ summary: String) {
        self.name = name
        self.arity = arity
        self.key = key
        self.usage = usage
        self.summary = summary
    }

    func accepts(argumentCount: Int) -> Bool {
        arity >= 0 ? argumentCount == arity : argumentCount >= -arity
    }

    fileprivate static let help = Subcommand("help", 2, "HELP", "Lists these.")
}

/// What each container command can be asked for, HELP last.
private let containers: [String: [Subcommand]] = [
    "client": [
        Subcommand("getname", 2, "GETNAME", "The name of this connection."),
        Subcommand("getredir", 2, "GETREDIR", "-1: keys are not tracked."),
        Subcommand("id", 2, "ID", "The number of this connection."),
        Subcommand("info", 2, "INFO", "The line of this connection in CLIENT LIST."),
        Subcommand(
            "kill",
            -3,
            "KILL address:port | [ID n] [ADDR address:port] [LADDR address:port] [USER name] [TYPE type] [SKIPME yes|no]",
            "Closes the connections that are all of that; for administrators."
        ),
        Subcommand(
            "list",
            -2,
            "LIST [TYPE normal|master|replica|pubsub | ID n …]",
            "A line for each connection; for administrators."
        ),
        Subcommand("no-evict", 3, "NO-EVICT ON|OFF", "Changes nothing: no connection is closed to save memory."),
        Subcommand("no-touch", 3, "NO-TOUCH ON|OFF", "Changes nothing: no access times are kept."),
        Subcommand("reply", 3, "REPLY ON", "Changes nothing: everything is answered."),
        Subcommand("setinfo", 4, "SETINFO LIB-NAME|LIB-VER text", "Says which library the client uses."),
        Subcommand("setname", 3, "SETNAME name", "Names this connection."),
        Subcommand("tracking", -3, "TRACKING OFF", "Changes nothing: keys are not tracked."),
        .help,
    ],
    "cluster": [
        Subcommand("countkeysinslot", 3, "COUNTKEYSINSLOT slot", "How many keys a slot has; all keys are read for it."),
        Subcommand("getkeysinslot", 4, "GETKEYSINSLOT slot count", "Keys of a slot; all keys are read for it."),
        Subcommand("info", 2, "INFO", "Whether all slots have a leader."),
        Subcommand("keyslot", 3, "KEYSLOT key", "The slot of a key."),
        Subcommand("links", 2, "LINKS", "Always empty: there is no bus between nodes as Redis has it."),
        Subcommand("myid", 2, "MYID", "This node's name in the other answers."),
        Subcommand("nodes", 2, "NODES", "A line for each node; members and slots are changed by kvctl."),
        Subcommand("shards", 2, "SHARDS", "Which nodes have which slots, by node that leads."),
        Subcommand("slots", 2, "SLOTS", "Which nodes have which slots, by range of slots."),
        .help,
    ],
    "command": [
        Subcommand("count", 2, "COUNT", "How many commands there are."),
        Subcommand("docs", -2, "DOCS [name …]", "What commands do."),
        Subcommand("getkeys", -4, "GETKEYS name argument …", "The keys of a command as it is written."),
        Subcommand("getkeysandflags", -4, "GETKEYSANDFLAGS name argument …", "The keys and what happens to each."),
        Subcommand("info", -2, "INFO [name …]", "Arity, flags and places of keys; of all without a name."),
        Subcommand("list", -2, "LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob]", "The names."),
        .help,
    ],
    "config": [
        Subcommand("get", -3, "GET glob …", "The settings whose names match."),
        Subcommand("resetstat", 2, "RESETSTAT", "Changes nothing: INFO counts as the metrics do, since the start."),
        Subcommand("rewrite", 2, "REWRITE", "Refused: edit the file and restart."),
        Subcommand("set", -4, "SET name value …", "Changes settings of this node until it restarts."),
        .help,
    ],
    "memory": [
        Subcommand("usage", -3, key: 2, "USAGE key [SAMPLES n]", "About how many bytes a key takes."),
        .help,
    ],
    "object": [
        Subcommand("encoding", 3, key: 2, "ENCODING key", "How Redis would keep the value if it had just been set."),
        Subcommand("freq", 3, key: 2, "FREQ key", "Refused: no access times are kept."),
        Subcommand("idletime", 3, key: 2, "IDLETIME key", "Refused: no access times are kept."),
        Subcommand("refcount", 3, key: 2, "REFCOUNT key", "What Redis would answer if the value had just been set."),
        .help,
    ],
    "slowlog": [
        Subcommand("get", -2, "GET [n]", "The latest slow commands, 10 unless asked otherwise, -1 for all."),
        Subcommand("len", 2, "LEN", "How many slow commands are remembered."),
        Subcommand("reset", 2, "RESET", "Forgets them."),
        .help,
    ],
]

extension Command {
    /// What it can be asked for; empty where it is one command.
    var subcommands: [Subcommand] { containers[name] ?? [] }

    /// What it is asked for by this word, in any case of letters.
    func subcommand(_ word: UnsafeRawBufferPointer) -> Subcommand? {
        let asked = String(decoding: word.prefix(32), as: UTF8.self).lowercased()
        return subcommands.first { $0.name == asked }
    }

    /// Why a container command cannot be asked this; nil where it can.
    func subcommandRefusal(_ arguments: Arguments) -> RESPError? {
        guard arguments.count > 1 else { return nil }
        guard let found = subcommand(arguments[1]) else {
            let asked = String(decoding: arguments[1].prefix(128), as: UTF8.self)
            return .line("ERR unknown subcommand '\(asked)'. Try \(name.uppercased()) HELP.")
        }
        return found.accepts(argumentCount: arguments.count) ? nil : .wrongArity("\(name)|\(found.name)")
    }
}

extension RESPConnection {
    /// Answers HELP of a container command.
    /// - Returns: false where something else was asked.
    func isHelp(_ arguments: Arguments, of name: String) -> Bool {
        guard arguments.count == 2, arguments.matches(1, "HELP") else { return false }
        let known = containers[name] ?? []
        var lines = ["\(name.uppercased()) <subcommand> [<argument> …]. Subcommands are:"]
        if name == "command" { lines += ["(none)", "    All commands."] }
        lines += known.flatMap { [$0.usage, "    \($0.summary)"] }
        reply { output, _ in
            output.writeArrayHead(lines.count)
            for line in lines {
                output.writeStaticString("+")
                output.writeString(line)
                output.writeStaticString("\r\n")
            }
        }
        return true
    }
}
