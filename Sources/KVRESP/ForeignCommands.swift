// Commands that Redis has and this server has not, so that whoever sends one is told why and what there is.

/// The commands of Redis that are refused, by what they are about.
let foreignCommands: [(about: String, commands: Set<String>)] = [
    (
        "lists",
        [
            "blmove", "blmpop", "blpop", "brpop", "brpoplpush", "lindex", "linsert", "llen", "lmove", "lmpop", "lpop",
            "lpos", "lpush", "lpushx", "lrange", "lrem", "lset", "ltrim", "rpop", "rpoplpush", "rpush", "rpushx",
        ]
    ),
    (
        "hashes",
        [
            "hdel", "hexists", "hexpire", "hexpireat", "hexpiretime", "hget", "hgetall", "hgetdel", "hgetex", "hincrby",
            "hincrbyfloat", "hkeys", "hlen", "hmget", "hmset", "hpersist", "hpexpire", "hpexpireat", "hpexpiretime",
            "hpttl", "hrandfield", "hscan", "hset", "hsetex", "hsetnx", "hstrlen", "httl", "hvals",
        ]
    ),
    (
        "sets",
        [
            "sadd", "scard", "sdiff", "sdiffstore", "sinter", "sintercard", "sinterstore", "sismember", "smembers",
            "smismember", "smove", "spop", "srandmember", "srem", "sscan", "sunion", "sunionstore",
        ]
    ),
    (
        "sorted sets",
        [
            "bzmpop", "bzpopmax", "bzpopmin", "zadd", "zcard", "zcount", "zdiff", "zdiffstore", "zincrby", "zinter",
            "zintercard", "zinterstore", "zlexcount", "zmpop", "zmscore", "zpopmax", "zpopmin", "zrandmember", "zrange",
            "zrangebylex", "zrangebyscore", "zrangestore", "zrank", "zrem", "zremrangebylex", "zremrangebyrank",
            "zremrangebyscore", "zrevrange", "zrevrangebylex", "zrevrangebyscore", "zrevrank", "zscan", "zscore",
            "zunion", "zunionstore", "geoadd", "geodist", "geohash", "geopos", "georadius", "georadiusbymember",
            "geosearch", "geosearchstore",
        ]
    ),
    (
        "streams",
        [
            "xack", "xadd", "xautoclaim", "xclaim", "xdel", "xgroup", "xinfo", "xlen", "xpending", "xrange", "xread",
            "xreadgroup", "xrevrange", "xsetid", "xtrim",
        ]
    ),
    ("bits", ["bitcount", "bitfield", "bitfield_ro", "bitop", "bitpos", "getbit", "setbit"]),
    ("counting by HyperLogLog", ["pfadd", "pfcount", "pfmerge"]),
    ("scripts", ["eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro", "function", "script"]),
    (
        "publishing",
        [
            "psubscribe", "publish", "pubsub", "punsubscribe", "spublish", "ssubscribe", "subscribe", "sunsubscribe",
            "unsubscribe",
        ]
    ),
]

/// Commands on strings and keys that are refused for a reason of their own; each is a row of docs/redis-compatibility.md.
let refusedCommands: [String: String] = [
    "lcs": "it is not supported: read both values and compare them",
    "dump": "the format of Redis's values is not spoken: use GET and PTTL, or kvctl export",
    "restore": "the format of Redis's values is not spoken: use SET with PX, or kvctl import",
    "migrate": "it is not supported: shards are moved by kvctl shard move",
    "move": "there is one database, 0",
    "swapdb": "there is one database, 0",
    "sort": "there are no lists or sets to sort",
    "sort_ro": "there are no lists or sets to sort",
    "waitaof": "every write is on a majority's disks before it is answered: nothing is left to wait for",
    "delex": "it is not supported: use WATCH, or HTTP's If-Match",
    "digest": "it is not supported: use GET, or the version that HTTP answers as ETag",
    "msetex": "it is not supported: use MULTI with SET … EX",
    "save": "every write is on a majority's disks before it is answered; backups are made by kvctl snapshot save",
    "bgsave": "every write is on a majority's disks before it is answered; backups are made by kvctl snapshot save",
    "bgrewriteaof": "the log is cut by itself",
    "replicaof": "members are changed by kvctl member",
    "slaveof": "members are changed by kvctl member",
    "failover": "leadership is handed over by kvctl member transfer-leader",
    "shutdown": "stop the process by a signal, or by kvctl member stop",
    "acl": "users and what they may do are the whole cluster's: kvctl user",
    "module": "there are no modules",
    "latency": "it is not supported: see the metrics and SLOWLOG",
    "psync": "members are changed by kvctl member",
    "replconf": "members are changed by kvctl member",
    "sync": "members are changed by kvctl member",
    "debug": "it is not supported",
    "monitor": "it is not supported: see the metrics and SLOWLOG",
]

/// What is answered to a command of Redis that this server has not; nil for what Redis does not know either.
func foreignCommandLine(_ name: String) -> String? {
    if let reason = refusedCommands[name] { return "ERR '\(name)' is refused: \(reason)" }
    guard let group = foreignCommands.first(where: { $0.commands.contains(name) }) else { return nil }
    return "ERR '\(name)' is about \(group.about); only strings are kept here: see COMMAND for what there is"
}
