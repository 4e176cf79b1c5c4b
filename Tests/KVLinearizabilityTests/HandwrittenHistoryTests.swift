import KVLinearizability
import Testing

@Suite struct `hand-written histories` {
    typealias Operation = HistoryOperation<KeyValueModel.Call, KeyValueModel.Result>

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// An operation that was answered.
    static func done(
        _ process: Int,
        _ from: UInt64,
        _ to: UInt64,
        _ call: KeyValueModel.Call,
        _ result: KeyValueModel.Result,
        key: String = "k"
    ) -> Operation {
        Operation(process: process, key: key, call: call, invokedAt: from, outcome: .completed(at: to, result))
    }

    /// An operation whose outcome nobody heard.
    static func open(_ process: Int, _ from: UInt64, _ call: KeyValueModel.Call) -> Operation {
        Operation(process: process, key: "k", call: call, invokedAt: from, outcome: .unknown)
    }

    static func put(_ text: String) -> KeyValueModel.Call { .put(bytes(text)) }
    static func saw(_ text: String, _ version: UInt64? = nil) -> KeyValueModel.Result {
        .value(bytes(text), version: version)
    }
    static let ok = KeyValueModel.Result.done(version: nil)

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let isLinearizable: Bool
        let history: [Operation]

        init(_ name: String, _ isLinearizable: Bool, _ history: [Operation]) {
            testDescription = name
            self.isLinearizable = isLinearizable
            self.history = history
        }
    }

    static let plain: [Case] = [
        Case("nothing happened", true, []),
        Case("a read sees the write before it", true, [done(1, 1, 2, put("a"), ok), done(2, 3, 4, .get, saw("a"))]),
        Case(
            "a read beside a write may see either",
            true,
            [
                done(1, 1, 10, put("a"), ok), done(2, 2, 3, .get, .absent), done(2, 4, 5, .get, saw("a")),
            ]
        ),
        Case(
            "a stale read",
            false,
            [
                done(1, 1, 2, put("a"), ok), done(1, 3, 4, put("b"), ok), done(2, 5, 6, .get, saw("a")),
            ]
        ),
        Case(
            "a read of a value that nobody wrote",
            false,
            [done(1, 1, 2, put("a"), ok), done(2, 3, 4, .get, saw("z"))]
        ),
        Case(
            "reads beside a write go forth and back",
            false,
            [
                done(1, 1, 10, put("a"), ok), done(2, 2, 3, .get, saw("a")), done(3, 4, 5, .get, .absent),
            ]
        ),
        Case(
            "two readers see two writes in opposite order",
            false,
            [
                done(1, 1, 20, put("a"), ok), done(2, 1, 20, put("b"), ok),
                done(3, 2, 3, .get, saw("a")), done(3, 4, 5, .get, saw("b")), done(4, 6, 7, .get, saw("a")),
            ]
        ),
        Case("an acknowledged write is lost", false, [done(1, 1, 2, put("a"), ok), done(2, 3, 4, .get, .absent)]),
        Case(
            "an update is lost: two increments give the same number",
            false,
            [
                done(1, 1, 5, .increment(1), .number(1, version: nil)),
                done(2, 2, 6, .increment(1), .number(1, version: nil)),
            ]
        ),
        Case(
            "two increments side by side",
            true,
            [
                done(1, 1, 5, .increment(1), .number(2, version: nil)),
                done(2, 2, 6, .increment(1), .number(1, version: nil)),
            ]
        ),
        Case(
            "an increment is applied twice",
            false,
            [
                done(1, 1, 2, .increment(5), .number(5, version: nil)), done(2, 3, 4, .get, saw("10")),
            ]
        ),
        Case(
            "an append is applied twice",
            false,
            [
                done(1, 1, 2, .append(bytes("x")), ok), done(2, 3, 4, .get, saw("xx")),
            ]
        ),
        Case(
            "a deleted key comes back",
            false,
            [
                done(1, 1, 2, put("a"), ok), done(1, 3, 4, .delete, ok), done(2, 5, 6, .get, saw("a")),
            ]
        ),
        Case(
            "two deletes both remove the one value",
            false,
            [
                done(1, 1, 2, put("a"), ok), done(2, 3, 6, .delete, ok), done(3, 4, 7, .delete, ok),
            ]
        ),
        Case(
            "two set-if-absent both win",
            false,
            [
                done(1, 1, 5, .putIfAbsent(bytes("a")), ok), done(2, 2, 6, .putIfAbsent(bytes("b")), ok),
            ]
        ),
        Case(
            "of two set-if-absent one wins",
            true,
            [
                done(1, 1, 5, .putIfAbsent(bytes("a")), .conditionFailed(version: nil)),
                done(2, 2, 6, .putIfAbsent(bytes("b")), ok), done(3, 7, 8, .get, saw("b")),
            ]
        ),
        Case(
            "a set-if-absent fails on an absent key",
            false,
            [
                done(1, 1, 5, .putIfAbsent(bytes("a")), .conditionFailed(version: nil))
            ]
        ),
        Case("a set-if-present succeeds on an absent key", false, [done(1, 1, 5, .putIfPresent(bytes("a")), ok)]),
        Case(
            "an increment of a word is refused",
            true,
            [
                done(1, 1, 2, put("word"), ok), done(1, 3, 4, .increment(1), .notANumber),
                done(1, 5, 6, .get, saw("word")),
            ]
        ),
        Case(
            "keys do not touch each other",
            true,
            [
                done(1, 1, 2, put("a"), ok, key: "a"), done(2, 3, 4, .get, .absent, key: "b"),
            ]
        ),
    ]

    static let unknown: [Case] = [
        Case(
            "an unknown write takes effect later",
            true,
            [
                open(1, 1, put("a")), done(2, 2, 3, .get, .absent), done(2, 4, 5, put("b"), ok),
                done(2, 6, 7, .get, saw("a")),
            ]
        ),
        Case(
            "an unknown write never takes effect",
            true,
            [
                open(1, 1, put("a")), done(2, 2, 3, put("b"), ok), done(2, 4, 5, .get, saw("b")),
            ]
        ),
        Case(
            "an unknown write takes effect before it was asked for",
            false,
            [
                done(2, 1, 2, .get, saw("a")), open(1, 3, put("a")),
            ]
        ),
        Case(
            "an unknown write takes effect twice",
            false,
            [
                open(1, 1, put("a")), done(2, 2, 3, .get, saw("a")), done(2, 4, 5, put("b"), ok),
                done(2, 6, 7, .get, saw("a")),
            ]
        ),
        Case(
            "two equal unknown writes take effect once each",
            true,
            [
                open(1, 1, put("a")), open(3, 1, put("a")),
                done(2, 2, 3, .get, saw("a")), done(2, 4, 5, put("b"), ok), done(2, 6, 7, .get, saw("a")),
            ]
        ),
        Case(
            "an unknown increment counts once or not at all",
            true,
            [
                open(1, 1, .increment(1)), done(2, 2, 3, .increment(1), .number(2, version: nil)),
            ]
        ),
        Case(
            "an unknown increment counts twice",
            false,
            [
                open(1, 1, .increment(1)), done(2, 2, 3, .increment(1), .number(3, version: nil)),
            ]
        ),
        Case(
            "an unknown delete explains an absent key",
            true,
            [
                done(1, 1, 2, put("a"), ok), open(2, 3, .delete), done(1, 4, 5, .get, saw("a")),
                done(1, 6, 7, .get, .absent),
            ]
        ),
        Case(
            "a failed write does not count",
            true,
            [
                Operation(process: 1, key: "k", call: put("a"), invokedAt: 1, outcome: .failed),
                done(2, 2, 3, .get, .absent),
            ]
        ),
        Case(
            "a failed write is seen",
            false,
            [
                Operation(process: 1, key: "k", call: put("a"), invokedAt: 1, outcome: .failed),
                done(2, 2, 3, .get, saw("a")),
            ]
        ),
    ]

    static let versions: [Case] = [
        Case(
            "versions grow",
            true,
            [
                done(1, 1, 2, put("a"), .done(version: 3)), done(1, 3, 4, put("b"), .done(version: 9)),
                done(1, 5, 6, .get, saw("b", 9)),
            ]
        ),
        Case(
            "a version goes back",
            false,
            [
                done(1, 1, 2, put("a"), .done(version: 9)), done(1, 3, 4, put("b"), .done(version: 3)),
            ]
        ),
        Case(
            "a version repeats after delete and re-create",
            false,
            [
                done(1, 1, 2, put("a"), .done(version: 9)), done(1, 3, 4, .delete, ok),
                done(1, 5, 6, put("b"), .done(version: 9)),
            ]
        ),
        Case(
            "a read tells the version of another value",
            false,
            [
                done(1, 1, 2, put("a"), .done(version: 3)), done(1, 3, 4, put("b"), .done(version: 9)),
                done(1, 5, 6, .get, saw("b", 3)),
            ]
        ),
        Case(
            "two puts on one version both win",
            false,
            [
                done(1, 1, 2, put("a"), .done(version: 3)),
                done(1, 3, 9, .putIfVersion(3, bytes("b")), ok), done(2, 3, 9, .putIfVersion(3, bytes("c")), ok),
            ]
        ),
        Case(
            "of two puts on one version the second is told the new one",
            true,
            [
                done(1, 1, 2, put("a"), .done(version: 3)),
                done(1, 3, 9, .putIfVersion(3, bytes("b")), .done(version: 5)),
                done(2, 3, 9, .putIfVersion(3, bytes("c")), .conditionFailed(version: 5)),
            ]
        ),
        Case(
            "a put on the present version is refused",
            false,
            [
                done(1, 1, 2, put("a"), .done(version: 3)),
                done(1, 3, 9, .putIfVersion(3, bytes("b")), .conditionFailed(version: 3)),
            ]
        ),
        Case(
            "an unheard version is learnt by a read and holds from then on",
            false,
            [
                done(1, 1, 2, put("a"), ok), done(1, 3, 4, .get, saw("a", 7)),
                done(1, 5, 6, .putIfVersion(8, bytes("b")), ok),
            ]
        ),
        Case(
            "a delete on an old version is refused",
            true,
            [
                done(1, 1, 2, put("a"), .done(version: 3)), done(1, 3, 4, put("b"), .done(version: 4)),
                done(1, 5, 6, .deleteIfVersion(3), .conditionFailed(version: 4)), done(1, 7, 8, .get, saw("b", 4)),
            ]
        ),
    ]

    @Test(arguments: plain + unknown + versions) func `each gets its verdict`(_ example: Case) {
        let verdict = LinearizabilityChecker(KeyValueModel()).check(example.history)
        #expect(verdict.isLinearizable == example.isLinearizable, "\(verdict)")
    }

    @Test func `a report shows the shortest beginning of the smallest wrong key`() {
        var history = Self.plain[3].history
        history += (10..<40).map { Self.done(1, UInt64($0 * 2), UInt64($0 * 2 + 1), Self.put("n\($0)"), Self.ok) }
        history.append(Self.done(1, 1, 2, .get, Self.saw("x"), key: "other"))
        history += (10..<90).map { Self.done(1, UInt64($0 * 2), UInt64($0 * 2 + 1), .get, .absent, key: "other") }
        guard case .violation(let report) = LinearizabilityChecker(KeyValueModel()).check(history) else {
            Issue.record("no violation")
            return
        }
        #expect(
            report.description == """
                not linearizable: key "k", the first 3 of its 33 operations have no order
                  the longest order found takes 2 of them and leaves the state b, version above 0:
                    process 1 [1, 2] put a → done
                    process 1 [3, 4] put b → done
                  and none of these can follow:
                    process 2 [5, 6] get → a
                """
        )
    }

    @Test func `a search past its bound says so instead of deciding`() {
        let writes = (0..<12).map { Self.done($0, 1, 100, Self.put("v\($0)"), Self.ok) }
        let wrong = writes + [Self.done(50, 101, 102, .get, Self.saw("none"))]
        guard case .undecided(let key) = LinearizabilityChecker(KeyValueModel(), configurationsMax: 100).check(wrong)
        else {
            Issue.record("decided")
            return
        }
        #expect(key == "k")
    }

    @Test func `the recorder leaves open what nobody reported`() {
        let recorder = HistoryRecorder<KeyValueModel.Call, KeyValueModel.Result>()
        let first = recorder.begin(process: 1, key: "k", call: Self.put("a"))
        let second = recorder.begin(process: 2, key: "k", call: Self.put("b"))
        _ = recorder.begin(process: 3, key: "k", call: Self.put("c"))
        recorder.complete(first, Self.ok)
        recorder.fail(second)
        #expect(recorder.operations.map(\.completedAt) == [4, nil, nil])
        #expect(LinearizabilityChecker(KeyValueModel()).check(recorder.operations).isLinearizable)
    }
}
