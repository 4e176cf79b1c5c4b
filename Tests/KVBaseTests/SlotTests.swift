import KVBase
import Testing

/// What `CLUSTER KEYSLOT` of Redis 7 answers.
private let known: [(String, UInt16)] = [
    ("", 0), ("123456789", 12_739), ("foo", 12_182), ("bar", 5061), ("hello", 866), ("somekey", 11_058),
    ("foo{hash_tag}", 2515), ("hash_tag", 2515),
]

@Test func `slots are those of Redis Cluster`() {
    for (key, slot) in known { #expect(Slot(key: Array(key.utf8)).rawValue == slot, "\(key)") }
}

@Test(arguments: [
    ("{user1000}.following", "user1000"),
    ("foo{{bar}}zap", "{bar"),
    ("foo{bar}{zap}", "bar"),
    ("}{tag}", "tag"),
])
func `only what is between the first braces counts`(key: String, part: String) {
    #expect(Slot(key: Array(key.utf8)) == Slot(key: Array(part.utf8)))
}

@Test func `empty or open braces hash the whole key`() {
    #expect(Slot(key: Array("foo{}{bar}".utf8)) != Slot(key: Array("bar".utf8)))
    #expect(Slot(key: Array("foo{}{bar}".utf8)).rawValue == 8363)
    #expect(Slot(key: Array("{bar".utf8)) != Slot(key: Array("bar".utf8)))
}

@Test func `ids read back what they print`() {
    let cluster = ClusterID(high: 0x0123, low: 0xffff_0000_0000_0001)
    #expect(ClusterID(cluster.description) == cluster)
    #expect(ClusterID("xyz") == nil)
    #expect(Incarnation(Incarnation(77).description) == Incarnation(77))
    #expect(Incarnation("00000000000000zz") == nil)
}
