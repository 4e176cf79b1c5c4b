/// Reads every key that probes wrote, again and again until each is answered, then removes it where asked.
final class CheckSource: RequestSource {
    /// What a key holds; nil: nothing.
    private(set) var values: [Int64?]
    private var answered: [Bool]
    private var open: [Int]
    private let name: String
    private let removes: Bool
    private let deadline: UInt64

    /// A source for keys `name` 0 ..< `count`; what is not answered by `deadline` stays so.
    init(name: String, count: Int, removes: Bool, deadline: UInt64) {
        self.name = name
        self.removes = removes
        self.deadline = deadline
        values = Array(repeating: nil, count: count)
        answered = Array(repeating: false, count: count)
        open = Array((0..<count).reversed())
    }

    /// Keys whose content is not known.
    var unansweredCount: Int { answered.count { !$0 } }

    func isAnswered(_ number: Int) -> Bool { answered[number] }

    func nextDue(_ now: UInt64) -> UInt64? { open.isEmpty || now > deadline ? nil : now }

    func issue(into queue: ByteQueue, due: UInt64) -> UInt64 {
        let number = open.popLast() ?? 0
        Array("\(name)\(number)".utf8).withUnsafeBytes {
            if removes { queue.appendDelete($0) } else { queue.appendGet($0) }
        }
        return UInt64(number)
    }

    func completed(_ request: IssuedRequest, _ reply: ScannedReply, now: UInt64) {
        let number = Int(request.tag)
        switch reply.kind {
        case .null, .integer: answered[number] = true
        case .bulk:
            values[number] = Int64(String(decoding: reply.body, as: UTF8.self)) ?? -1
            answered[number] = true
        default: open.append(number)
        }
    }

    func failed(_ request: IssuedRequest, _ failure: RequestFailure, now: UInt64) { open.append(Int(request.tag)) }
}
