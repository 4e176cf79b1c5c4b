import KVLinearizability
import Testing

@Suite struct `recorded histories` {
    @Test(.enabled(if: Fixtures.exist, "../shared/fixtures/histories is not there"), arguments: Fixtures.expected)
    func `a register history gets the verdict that is known for it`(file: String, isLinearizable: Bool) throws {
        let history = try RegisterHistoryFormat.parse(try Fixtures.text(file))
        #expect(history.count > 50)
        let verdict = LinearizabilityChecker(RegisterModel()).check(history)
        switch verdict {
        case .linearizable: #expect(isLinearizable)
        case .violation(let report): #expect(!isLinearizable, "\(report)")
        case .undecided(let key): Issue.record("\(file): gave up on \(key)")
        }
    }

    @Test(
        .enabled(if: Fixtures.exist, "../shared/fixtures/histories is not there"),
        arguments: [
            ("kv_c01-ok.txt", true), ("kv_c01-bad.txt", false), ("kv_c10-ok.txt", true), ("kv_c10-bad.txt", false),
        ]
    )
    func `a string store history gets the verdict in its name`(file: String, isLinearizable: Bool) throws {
        let history = try StringStoreHistoryFormat.parse(try Fixtures.text(file))
        #expect(history.count > 30)
        let verdict = LinearizabilityChecker(StringStoreModel()).check(history)
        switch verdict {
        case .linearizable: #expect(isLinearizable)
        case .violation(let report): #expect(!isLinearizable, "\(report)")
        case .undecided(let key): Issue.record("\(file): gave up on \(key)")
        }
    }

    @Test(.enabled(if: Fixtures.exist, "../shared/fixtures/histories is not there"))
    func `the table of verdicts was read`() {
        #expect(Fixtures.expected.count == 82)
        #expect(Fixtures.expected.count { $0.isLinearizable } == 18)
    }
}
