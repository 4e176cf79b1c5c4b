// The commands beside the most used ones, in the form of `plainCommands`.

/// MULTI and its kin, and sessions.
let transactionCommands: [Command] = [
    Command("multi", 1, [.fast, .transaction], "Begins a transaction: what follows is kept until EXEC.") {
        (client, arguments) throws(RESPError) in
        try client.multi(arguments)
    },
    Command(
        "exec",
        1,
        [.write, .transaction, .waitsForWatch],
        "Does what was kept since MULTI at once, unless a watched key changed."
    ) {
        (client, arguments) throws(RESPError) in
        try client.exec(arguments)
    },
    Command("discard", 1, [.fast, .transaction, .waitsForWatch], "Forgets what was kept since MULTI.") {
        (client, arguments) throws(RESPError) in
        try client.discard(arguments)
    },
    Command(
        "watch",
        -2,
        [.readOnly, .transaction, .waitsForWatch, .waitsForWrites],
        keys: (1, -1, 1),
        "Makes the next EXEC depend on these keys being as they are now."
    ) {
        (client, arguments) throws(RESPError) in
        try client.watch(arguments)
    },
    Command("unwatch", 1, [.fast, .transaction, .waitsForWatch], "Forgets the watched keys.") {
        (client, arguments) throws(RESPError) in
        try client.unwatch(arguments)
    },
    Command(
        "kv.session",
        -2,
        [.write, .transaction, .waitsForWatch],
        "Opens, keeps and ends sessions, in which a retried write takes effect once."
    ) {
        (client, arguments) throws(RESPError) in
        try client.session(arguments)
    },
]

/// Commands on values and keys that are less used.
let rarerCommands: [Command] = [
    Command("getex", -2, [.write, .fast], keys: (1, 1, 1), "Reads a value and changes its expiry.") {
        (client, arguments) throws(RESPError) in
        try client.getAndExpire(arguments)
    },
    Command(
        "msetnx",
        -3,
        [.write, .alone],
        keys: (1, -1, 2),
        "Writes several values of one slot where none of the keys exists."
    ) {
        (client, arguments) throws(RESPError) in
        try client.setManyIfAbsent(arguments)
    },
    Command("getrange", 4, [.readOnly], keys: (1, 1, 1), "Reads a part of a value.") {
        (client, arguments) throws(RESPError) in
        try client.getRange(arguments)
    },
    Command("substr", 4, [.readOnly], keys: (1, 1, 1), "Reads a part of a value.") {
        (client, arguments) throws(RESPError) in
        try client.getRange(arguments)
    },
    Command("setrange", 4, [.write], keys: (1, 1, 1), "Writes over a part of a value.") {
        (client, arguments) throws(RESPError) in
        try client.setRange(arguments)
    },
    Command("incrbyfloat", 3, [.write, .fast], keys: (1, 1, 1), "Adds to a number with a fraction, exactly.") {
        (client, arguments) throws(RESPError) in
        try client.incrementByDecimal(arguments)
    },
    Command("rename", 3, [.write], keys: (1, 2, 1), "Gives a value another key of the same slot.") {
        (client, arguments) throws(RESPError) in
        try client.rename(arguments, [], .renamed)
    },
    Command(
        "renamenx",
        3,
        [.write, .fast],
        keys: (1, 2, 1),
        "Gives a value another key of the same slot where that is absent."
    ) {
        (client, arguments) throws(RESPError) in
        try client.rename(arguments, .onlyIfAbsent, .renamedIfAbsent)
    },
    Command("copy", -3, [.write], keys: (1, 2, 1), "Copies a value to another key of the same slot.") {
        (client, arguments) throws(RESPError) in
        try client.copy(arguments)
    },
    Command("touch", -2, [.readOnly, .fast], keys: (1, -1, 1), "Counts which of the keys exist.") {
        (client, arguments) throws(RESPError) in
        try client.exists(arguments)
    },
    Command("randomkey", 1, [.readOnly, .waitsForWrites, .alone], "Answers some key.") {
        (client, arguments) throws(RESPError) in
        try client.randomKey(arguments)
    },
    Command("flushall", -1, [.write, .admin, .alone], "Removes all keys.") {
        (client, arguments) throws(RESPError) in
        try client.flush(arguments)
    },
    Command("flushdb", -1, [.write, .admin, .alone], "Removes all keys.") {
        (client, arguments) throws(RESPError) in
        try client.flush(arguments)
    },
]

/// What tools ask.
let toolCommands: [Command] = [
    Command("object", -2, [.readOnly, .container], keys: (2, 2, 1), "Tells how a value is kept.") {
        (client, arguments) throws(RESPError) in
        try client.object(arguments)
    },
    Command("memory", -2, [.readOnly, .container], keys: (2, 2, 1), "Tells about how many bytes a key takes.") {
        (client, arguments) throws(RESPError) in
        try client.memory(arguments)
    },
    Command("slowlog", -2, [.admin, .loading, .container], "Tells the slowest commands of late.") {
        (client, arguments) throws(RESPError) in
        try client.slowLog(arguments)
    },
    Command("role", 1, [.fast, .loading], "Tells that this node takes writes.") {
        (client, arguments) throws(RESPError) in
        try client.role(arguments)
    },
    Command("asking", 1, [.fast, .loading], "Does nothing: no shard is ever half moved.") {
        (client, arguments) throws(RESPError) in
        try client.asking(arguments)
    },
    Command("cluster", -2, [.loading, .alone, .container], "Tells who serves which slots.") {
        (client, arguments) throws(RESPError) in
        try client.cluster(arguments)
    },
]
