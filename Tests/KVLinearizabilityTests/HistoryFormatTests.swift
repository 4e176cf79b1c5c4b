import KVLinearizability
import Testing

@Suite struct `the formats of recorded histories` {
    @Test func `a register history is read with its outcomes`() throws {
        let text = """
            WARN  other.logger - nothing
            INFO  jepsen.util - 0\t:invoke\t:read\tnil
            INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]
            INFO  jepsen.util - 0\t:ok\t:read\tnil
            INFO  jepsen.util - 1\t:fail\t:cas\t[1 2]
            INFO  jepsen.util - 1\t:invoke\t:write\t3
            INFO  jepsen.util - 1\t:info\t:write\t:timed-out
            INFO  jepsen.util - 0\t:invoke\t:read\tnil
            INFO  jepsen.util - 0\t:fail\t:read\t:timed-out
            """
        let history = try RegisterHistoryFormat.parse(text)
        #expect(history.map(\.call) == [.read, .compareAndSet(expected: 1, new: 2), .write(3), .read])
        #expect(history.map(\.completedAt) == [4, 5, nil, nil])
    }

    @Test func `a string store history is read with its outcomes`() throws {
        let text = """
            {:process 0, :type :invoke, :f :append, :key "7", :value "x, 0 y"}
            {:process 1, :type :invoke, :f :get, :key "7", :value nil}
            {:process 1, :type :ok, :f :get, :key "7", :value ""}
            {:process 0, :type :ok, :f :append, :key "7", :value "x, 0 y"}
            """
        let history = try StringStoreHistoryFormat.parse(text)
        #expect(history.map(\.call) == [.append("x, 0 y"), .get])
        #expect(history.map(\.completedAt) == [4, 3])
    }

    @Test(arguments: [
        "INFO  jepsen.util - 0\t:ok\t:read\tnil",
        "INFO  jepsen.util - 0\t:invoke\t:write\tnil",
        "INFO  jepsen.util - 0\t:invoke\t:jump\t1",
        "INFO  jepsen.util - 0\t:perhaps\t:read\tnil",
        "INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:invoke\t:read\tnil",
        "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:info\t:write\tx\nINFO  jepsen.util - 0\t:invoke\t:read\tnil",
    ]) func `a register history that makes no sense is refused with its line`(_ text: String) {
        #expect(throws: HistoryParsingError.self) { try RegisterHistoryFormat.parse(text) }
    }

    @Test(arguments: [
        "{:process 0, :type :ok, :f :get, :key \"7\", :value \"\"}",
        "{:process 0, :type :invoke, :f :put, :key \"7\", :value nil}",
        "{:process x}", "nonsense", "{:process 0, :type :invoke, :f :get, :key \"7",
    ]) func `a string store history that makes no sense is refused with its line`(_ text: String) {
        #expect(throws: HistoryParsingError.self) { try StringStoreHistoryFormat.parse(text) }
    }
}
