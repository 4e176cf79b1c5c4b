import KVService
import NIOCore
import Synchronization

/// How many bytes of answers wait, in all pipelines together, for clients to read them.
final class UnreadBudget: Sendable {
    let bytesMax: Int
    private let bytes = Atomic(0)

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Counts bytes, also beyond the bound; whether they are within it.
    func add(_ count: Int) -> Bool { bytes.add(count, ordering: .relaxed).newValue <= bytesMax }

    func remove(_ count: Int) { if count > 0 { bytes.subtract(count, ordering: .relaxed) } }
}

/// The requests of one pipeline that are under way, and the answers that wait to be written.
///
/// Who reads the stream takes room before it submits, so that at most `countMax` requests are unanswered or their answers unwritten; who
/// writes takes all answers that are there. Any thread.
final class PipelineSink: ReplySink {
    /// A request that was submitted.
    struct InFlight: Sendable {
        var id: UInt64
        var asked: Asked
        var started: NIODeadline
    }

    private struct State {
        var underWay: [UInt64: InFlight] = [:]
        var ready: [Kv_V1_PipelineResponse.Answer] = []
        var readyBytes = 0
        /// Answers that were taken and are not written.
        var leaving = 0
        var leavingBytes = 0
        var writer: CheckedContinuation<Void, Never>?
        var reader: CheckedContinuation<Void, Never>?
        var isInputOver = false
        var isStopped = false
        /// Whether too much waits to be read.
        var isUnread = false
        var failure: (any Error)?

        var unanswered: Int { underWay.count + ready.count + leaving }
    }

    private let countMax: Int
    private let bytesMax: Int
    private let all: UnreadBudget
    private let metrics: GRPCMetrics
    private let state = Mutex(State())

    init(countMax: Int, bytesMax: Int, of all: UnreadBudget, _ metrics: GRPCMetrics) {
        self.countMax = countMax
        self.bytesMax = bytesMax
        self.all = all
        self.metrics = metrics
    }

    deinit { state.withLock { all.remove($0.readyBytes + $0.leavingBytes) } }

    // MARK: The reader's side

    /// Waits until there is room; how much, or 0 where nothing more is to be read.
    func room() async -> Int {
        while true {
            let room = state.withLock { $0.isStopped ? 0 : countMax - $0.unanswered }
            if room > 0 || state.withLock({ $0.isStopped }) { return room }
            await withCheckedContinuation { continuation in
                let mayGoOn = state.withLock { state in
                    guard !state.isStopped, countMax - state.unanswered <= 0 else { return true }
                    state.reader = continuation
                    return false
                }
                if mayGoOn { continuation.resume() }
            }
        }
    }

    /// Notes requests before they are submitted, by their tags.
    func note(_ requests: [(tag: UInt64, InFlight)]) {
        state.withLock { state in for (tag, request) in requests { state.underWay[tag] = request } }
    }

    /// A request that is refused before it is submitted.
    func refuse(_ id: UInt64, _ failure: GRPCFailure) {
        metrics.reject(failure)
        var answer = Kv_V1_PipelineResponse.Answer()
        answer.id = id
        answer.error = failure.inPipeline
        push(answer, bytes: 64)
    }

    /// The client has sent all; or what it sent cannot be read.
    func endInput(_ failure: (any Error)? = nil) {
        let writer = state.withLock { state in
            state.isInputOver = true
            if let failure {
                state.failure = failure
                state.isStopped = true
            }
            return state.writer.take()
        }
        writer?.resume()
    }

    /// Nothing more is read; what is under way is answered.
    func stop(_ failure: any Error) {
        let (writer, reader) = state.withLock { state in
            state.isStopped = true
            if state.failure == nil { state.failure = failure }
            return (state.writer.take(), state.reader.take())
        }
        writer?.resume()
        reader?.resume()
    }

    // MARK: The service's side

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        guard let request = state.withLock({ $0.underWay.removeValue(forKey: tag) }) else { return }
        var answer = Kv_V1_PipelineResponse.Answer()
        answer.id = request.id
        let nanoseconds = UInt64(max(0, (NIODeadline.now() - request.started).nanoseconds))
        do throws(GRPCFailure) {
            // What is read now would only wait behind what nobody reads.
            if !request.asked.isWrite, state.withLock({ $0.isUnread }) { throw unread }
            try request.asked.fill(&answer, reply)
            metrics.record(request.asked.operation, .ok, nanoseconds: nanoseconds)
        } catch {
            answer.error = error.inPipeline
            metrics.reject(error)
            metrics.record(request.asked.operation, error.outcome, nanoseconds: nanoseconds)
        }
        push(answer, bytes: 64 + answer.valueBytes)
    }

    private var unread: GRPCFailure {
        GRPCFailure(
            .resourceExhausted,
            "UNREAD",
            "more than \(bytesMax) bytes of answers wait to be read, or \(all.bytesMax) over all clients"
        )
    }

    private func push(_ answer: Kv_V1_PipelineResponse.Answer, bytes: Int) {
        let writer = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.ready.append(answer)
            state.readyBytes += bytes
            let isWithin = all.add(bytes)
            if !isWithin || state.readyBytes + state.leavingBytes > bytesMax, state.failure == nil {
                state.isStopped = true
                state.isUnread = true
                state.failure = unread
            }
            return state.writer.take()
        }
        writer?.resume()
    }

    // MARK: The writer's side

    /// Waits for answers and takes all that are there; nil when the last one was taken.
    /// - Throws: why the pipeline ends early, once everything was taken.
    func answers() async throws -> [Kv_V1_PipelineResponse.Answer]? {
        while true {
            let (taken, isOver, failure, reader) = state.withLock {
                state -> ([Kv_V1_PipelineResponse.Answer], Bool, (any Error)?, CheckedContinuation<Void, Never>?) in
                // Those taken before were written by now.
                all.remove(state.leavingBytes)
                state.leaving = state.ready.count
                state.leavingBytes = state.readyBytes
                state.readyBytes = 0
                let taken = state.ready
                state.ready = []
                let reader = countMax - state.unanswered > 0 ? state.reader.take() : nil
                let isOver = (state.isInputOver || state.isStopped) && state.underWay.isEmpty && taken.isEmpty
                return (taken, isOver, state.failure, reader)
            }
            reader?.resume()
            if !taken.isEmpty { return taken }
            if isOver {
                if let failure { throw failure }
                return nil
            }
            await withCheckedContinuation { continuation in
                let mayGoOn = state.withLock { state in
                    let isOver = (state.isInputOver || state.isStopped) && state.underWay.isEmpty
                    guard state.ready.isEmpty, !isOver else { return true }
                    state.writer = continuation
                    return false
                }
                if mayGoOn { continuation.resume() }
            }
        }
    }
}
