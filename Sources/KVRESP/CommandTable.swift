/// Every command: name, arity, flags, keys, what it does, and who does it.
///
/// An arity counts the name; a negative one is "at least".
let commandTable = CommandTable(plainCommands + transactionCommands + rarerCommands + toolCommands)

/// The most used commands.
private let plainCommands: [Command] = [
    Command("ping", -1, [.fast], "Answers PONG or the argument.") { (client, arguments) throws(RESPError) in
        try client.ping(arguments)
    },
    Command("echo", 2, [.fast], "Answers the argument.") { (client, arguments) throws(RESPError) in
        try client.echo(arguments)
    },
    Command("hello", -1, [.fast, .loading, .alone, .open], "Chooses the protocol and tells about the server.") {
        (client, arguments) throws(RESPError) in
        try client.hello(arguments)
    },
    Command("auth", -2, [.fast, .loading, .alone, .open], "Proves who the client is.") {
        (client, arguments) throws(RESPError) in
        try client.authenticate(arguments)
    },
    Command("select", 2, [.fast, .loading], "Chooses the database; only 0 exists.") {
        (client, arguments) throws(RESPError) in
        try client.select(arguments)
    },
    Command("quit", -1, [.fast, .loading, .transaction, .open], "Closes the connection.") {
        (client, arguments) throws(RESPError) in
        try client.quit(arguments)
    },
    Command("reset", 1, [.fast, .loading, .transaction, .open], "Makes the connection as new.") {
        (client, arguments) throws(RESPError) in
        try client.resetConnection(arguments)
    },
    Command(
        "readonly",
        1,
        [.fast, .loading],
        "Lets reads of this connection be stale: whatever this node has applied."
    ) { (client, arguments) throws(RESPError) in
        client.setStaleReads(true)
    },
    Command("readwrite", 1, [.fast, .loading], "Makes reads linearizable again.") {
        (client, arguments) throws(RESPError) in
        client.setStaleReads(false)
    },
    Command("client", -2, [.loading, .container], "Names and lists connections.") {
        (client, arguments) throws(RESPError) in
        try client.client(arguments)
    },
    Command("command", -1, [.loading, .container], "Describes commands.") { (client, arguments) throws(RESPError) in
        try client.command(arguments)
    },
    Command("info", -1, [.loading, .alone], "Tells how the node stands.") { (client, arguments) throws(RESPError) in
        try client.info(arguments)
    },
    Command("config", -2, [.admin, .loading, .container], "Tells settings.") { (client, arguments) throws(RESPError) in
        try client.config(arguments)
    },
    Command("time", 1, [.fast, .loading], "Tells the time.") { (client, arguments) throws(RESPError) in
        try client.time(arguments)
    },
    Command("wait", 3, [.readOnly, .waitsForWrites, .alone], "Waits for earlier writes; a majority has them.") {
        (client, arguments) throws(RESPError) in
        try client.wait(arguments)
    },
    Command("dbsize", 1, [.readOnly, .waitsForWrites, .alone], "Counts the keys.") {
        (client, arguments) throws(RESPError) in
        try client.countKeys(arguments)
    },
    Command("get", 2, [.readOnly, .fast], keys: (1, 1, 1), "Reads a value.") { (client, arguments) throws(RESPError) in
        try client.get(arguments)
    },
    Command("set", -3, [.write], keys: (1, 1, 1), "Writes a value.") { (client, arguments) throws(RESPError) in
        try client.set(arguments)
    },
    Command("setnx", 3, [.write, .fast], keys: (1, 1, 1), "Writes a value where there is none.") {
        (client, arguments) throws(RESPError) in
        try client.setIfAbsent(arguments)
    },
    Command("setex", 4, [.write], keys: (1, 1, 1), "Writes a value that expires in seconds.") {
        (client, arguments) throws(RESPError) in
        try client.setExpiring(arguments, "setex", millisecondsPerUnit: 1_000)
    },
    Command("psetex", 4, [.write], keys: (1, 1, 1), "Writes a value that expires in milliseconds.") {
        (client, arguments) throws(RESPError) in
        try client.setExpiring(arguments, "psetex", millisecondsPerUnit: 1)
    },
    Command("getset", 3, [.write, .fast], keys: (1, 1, 1), "Writes a value and answers the one before.") {
        (client, arguments) throws(RESPError) in
        try client.getAndSet(arguments)
    },
    Command("getdel", 2, [.write, .fast], keys: (1, 1, 1), "Removes a key and answers its value.") {
        (client, arguments) throws(RESPError) in
        try client.getAndDelete(arguments)
    },
    Command("mget", -2, [.readOnly, .fast], keys: (1, -1, 1), "Reads several values.") {
        (client, arguments) throws(RESPError) in
        try client.getMany(arguments)
    },
    Command("mset", -3, [.write], keys: (1, -1, 2), "Writes several values at once.") {
        (client, arguments) throws(RESPError) in
        try client.setMany(arguments)
    },
    Command("append", 3, [.write, .fast], keys: (1, 1, 1), "Adds bytes at the end of a value.") {
        (client, arguments) throws(RESPError) in
        try client.append(arguments)
    },
    Command("strlen", 2, [.readOnly, .fast], keys: (1, 1, 1), "Tells the length of a value.") {
        (client, arguments) throws(RESPError) in
        try client.length(arguments)
    },
    Command("incr", 2, [.write, .fast], keys: (1, 1, 1), "Adds 1 to a number.") {
        (client, arguments) throws(RESPError) in
        try client.increment(arguments, by: 1)
    },
    Command("decr", 2, [.write, .fast], keys: (1, 1, 1), "Takes 1 from a number.") {
        (client, arguments) throws(RESPError) in
        try client.increment(arguments, by: -1)
    },
    Command("incrby", 3, [.write, .fast], keys: (1, 1, 1), "Adds to a number.") {
        (client, arguments) throws(RESPError) in
        try client.incrementBy(arguments, isNegated: false)
    },
    Command("decrby", 3, [.write, .fast], keys: (1, 1, 1), "Takes from a number.") {
        (client, arguments) throws(RESPError) in
        try client.incrementBy(arguments, isNegated: true)
    },
    Command("del", -2, [.write], keys: (1, -1, 1), "Removes keys.") { (client, arguments) throws(RESPError) in
        try client.delete(arguments)
    },
    Command("unlink", -2, [.write, .fast], keys: (1, -1, 1), "Removes keys.") { (client, arguments) throws(RESPError) in
        try client.delete(arguments)
    },
    Command("exists", -2, [.readOnly, .fast], keys: (1, -1, 1), "Counts which of the keys exist.") {
        (client, arguments) throws(RESPError) in
        try client.exists(arguments)
    },
    Command("type", 2, [.readOnly, .fast], keys: (1, 1, 1), "Tells the type of a value: string or none.") {
        (client, arguments) throws(RESPError) in
        try client.head(arguments, .type)
    },
    Command("ttl", 2, [.readOnly, .fast], keys: (1, 1, 1), "Tells the seconds until a key expires.") {
        (client, arguments) throws(RESPError) in
        try client.head(arguments, .secondsToLive)
    },
    Command("pttl", 2, [.readOnly, .fast], keys: (1, 1, 1), "Tells the milliseconds until a key expires.") {
        (client, arguments) throws(RESPError) in
        try client.head(arguments, .millisecondsToLive)
    },
    Command("expiretime", 2, [.readOnly, .fast], keys: (1, 1, 1), "Tells when a key expires in seconds since 1970.") {
        (client, arguments) throws(RESPError) in
        try client.head(arguments, .expiryInSeconds)
    },
    Command(
        "pexpiretime",
        2,
        [.readOnly, .fast],
        keys: (1, 1, 1),
        "Tells when a key expires in milliseconds since 1970."
    ) { (client, arguments) throws(RESPError) in
        try client.head(arguments, .expiryInMilliseconds)
    },
    Command("expire", -3, [.write, .fast], keys: (1, 1, 1), "Lets a key expire in seconds.") {
        (client, arguments) throws(RESPError) in
        try client.expire(arguments, "expire", millisecondsPerUnit: 1_000, isAbsolute: false)
    },
    Command("pexpire", -3, [.write, .fast], keys: (1, 1, 1), "Lets a key expire in milliseconds.") {
        (client, arguments) throws(RESPError) in
        try client.expire(arguments, "pexpire", millisecondsPerUnit: 1, isAbsolute: false)
    },
    Command("expireat", -3, [.write, .fast], keys: (1, 1, 1), "Lets a key expire at a second.") {
        (client, arguments) throws(RESPError) in
        try client.expire(arguments, "expireat", millisecondsPerUnit: 1_000, isAbsolute: true)
    },
    Command("pexpireat", -3, [.write, .fast], keys: (1, 1, 1), "Lets a key expire at a millisecond.") {
        (client, arguments) throws(RESPError) in
        try client.expire(arguments, "pexpireat", millisecondsPerUnit: 1, isAbsolute: true)
    },
    Command("persist", 2, [.write, .fast], keys: (1, 1, 1), "Lets a key never expire.") {
        (client, arguments) throws(RESPError) in
        try client.persist(arguments)
    },
    Command("scan", -2, [.readOnly, .waitsForWrites, .alone], "Goes through the keys page by page.") {
        (client, arguments) throws(RESPError) in
        try client.scan(arguments)
    },
    Command("keys", 2, [.readOnly, .waitsForWrites, .alone], "Lists the keys that match a pattern.") {
        (client, arguments) throws(RESPError) in
        try client.keys(arguments)
    },
]
