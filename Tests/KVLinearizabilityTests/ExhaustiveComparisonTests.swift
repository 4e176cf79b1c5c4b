import KVLinearizability
import Testing

/// Small random histories, judged by the checker and by trying every order: the cuts of the search must lose none.
@Suite struct `the search against every order` {
    typealias Operation = HistoryOperation<RegisterModel.Call, RegisterModel.Result>

    /// A small generator of its own, so that a seed names a history for good.
    struct SeededGenerator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let mixed = (state ^ (state >> 33)) &* 0xFF51_AFD7_ED55_8CCD
            return mixed ^ (mixed >> 29)
        }
    }

    static func history(seed: UInt64) -> [Operation] {
        var generator = SeededGenerator(state: seed)
        return (0..<Int.random(in: 3...6, using: &generator)).map { process in
            let from = UInt64.random(in: 1...8, using: &generator)
            let to = from + UInt64.random(in: 1...6, using: &generator)
            let a = Int.random(in: 1...2, using: &generator)
            let b = Int.random(in: 1...2, using: &generator)
            let (call, result): (RegisterModel.Call, RegisterModel.Result) =
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: (.write(a), .done)
                case 1: (.compareAndSet(expected: a, new: b), .done)
                case 2: (.compareAndSet(expected: a, new: b), .differed)
                default: (.read, .value(Bool.random(using: &generator) ? a : nil))
                }
            let isUnknown = Int.random(in: 0..<3, using: &generator) == 0
            return Operation(
                process: process,
                key: "k",
                call: call,
                invokedAt: from,
                outcome: isUnknown ? .unknown : .completed(at: to, result)
            )
        }
    }

    /// Whether some order of all completed operations and some of the unknown ones works.
    static func hasOrder(_ state: Int?, _ left: [Operation]) -> Bool {
        guard left.contains(where: { $0.completedAt != nil }) else { return true }
        let firstEnd = left.compactMap(\.completedAt).min() ?? .max
        for (index, operation) in left.enumerated() where operation.invokedAt <= firstEnd {
            let result: RegisterModel.Result? =
                if case .completed(_, let result) = operation.outcome { result } else { nil }
            guard let next = RegisterModel().step(state, operation.call, result) else { continue }
            var rest = left
            rest.remove(at: index)
            if hasOrder(next, rest) { return true }
        }
        return false
    }

    @Test func `both give the same verdict`() {
        var verdicts = [true: 0, false: 0]
        for seed in 1...20_000 as ClosedRange<UInt64> {
            let history = Self.history(seed: seed)
            let expected = Self.hasOrder(nil, history)
            verdicts[expected, default: 0] += 1
            let found = LinearizabilityChecker(RegisterModel()).check(history).isLinearizable
            #expect(found == expected, "seed \(seed): \(history)")
        }
        #expect(verdicts.values.allSatisfy { $0 > 500 }, "the histories must not all be alike: \(verdicts)")
    }
}
