import GRPCCore
import KVBase
import KVService
import NIOCore

// Many requests over one stream: one task reads and submits, another writes what is answered.

extension GRPCEdge {
    /// How many bytes of answers may wait before a pipeline is ended.
    private static let answerBytesMax = 64 << 20
    /// How many bytes one message of answers has, about.
    private static let messageBytes = 256 << 10

    func run(
        pipeline messages: RPCAsyncSequence<Kv_V1_PipelineRequest, any Error>,
        _ call: OneCall,
        _ writer: RPCWriter<Kv_V1_PipelineResponse>
    ) async throws {
        let sink = PipelineSink(countMax: settings.pipelineMax, bytesMax: Self.answerBytesMax, of: unread, metrics)
        let redirects = try call.redirects
        try await withRPCCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [self] in await read(messages, into: sink, call.session, redirects: redirects) }
                do {
                    while let answers = try await sink.answers() { try await write(answers, writer) }
                } catch {
                    // Who reads may wait for room, or for what never comes.
                    sink.stop(error)
                    group.cancelAll()
                    throw error
                }
            }
        } onCancelRPC: {
            sink.stop(call.endedEarly)
        }
    }

    private func read(
        _ messages: RPCAsyncSequence<Kv_V1_PipelineRequest, any Error>,
        into sink: PipelineSink,
        _ session: ClientSession,
        redirects: Bool
    ) async {
        var batch = RequestBatch()
        batch.redirects = redirects
        var nextTag: UInt64 = 0
        do {
            for try await message in messages {
                var rest = message.calls[...]
                while !rest.isEmpty {
                    let room = await sink.room()
                    guard room > 0 else { return sink.endInput() }
                    submit(rest.prefix(room), into: sink, session, &batch, &nextTag)
                    rest = rest.dropFirst(room)
                }
            }
            sink.endInput()
        } catch {
            sink.endInput(error)
        }
    }

    private func submit(
        _ calls: ArraySlice<Kv_V1_PipelineRequest.Call>,
        into sink: PipelineSink,
        _ session: ClientSession,
        _ batch: inout RequestBatch,
        _ nextTag: inout UInt64
    ) {
        let now = NIODeadline.now()
        var noted: [(tag: UInt64, PipelineSink.InFlight)] = []
        noted.reserveCapacity(calls.count)
        for call in calls {
            do throws(GRPCFailure) {
                let asked = try reader.add(call, to: &batch, tag: nextTag)
                noted.append((nextTag, PipelineSink.InFlight(id: call.id, asked: asked, started: now)))
                nextTag &+= 1
            } catch {
                sink.refuse(call.id, error)
            }
        }
        guard !noted.isEmpty else { return }
        sink.note(noted)
        session.submit(batch, to: sink)
        batch.removeAll()
    }

    private func write(
        _ answers: [Kv_V1_PipelineResponse.Answer],
        _ writer: RPCWriter<Kv_V1_PipelineResponse>
    ) async throws {
        var message = Kv_V1_PipelineResponse()
        var bytes = 0
        var addresses: [UInt64: String] = [:]
        for var answer in answers {
            if case .error(var error) = answer.kind, error.hasLeader, error.leader.address.isEmpty {
                let node = error.leader.node
                if addresses[node] == nil { addresses[node] = await address(of: NodeID(node)) ?? "" }
                error.leader.address = addresses[node] ?? ""
                answer.error = error
            }
            bytes += 32 + answer.valueBytes
            message.answers.append(answer)
            guard bytes >= Self.messageBytes else { continue }
            try await writer.write(message)
            (message, bytes) = (Kv_V1_PipelineResponse(), 0)
        }
        if !message.answers.isEmpty { try await writer.write(message) }
    }
}

extension Kv_V1_PipelineResponse.Answer {
    /// About how many bytes of values it has.
    var valueBytes: Int {
        switch kind {
        case .get(let get): get.value.count
        case .put(let put): put.previous.count
        case .delete(let delete): delete.previous.count
        case .batch(let batch):
            batch.results.reduce(0) { sum, result in
                switch result.kind {
                case .get(let get): sum + 32 + get.value.count
                case .put(let put): sum + 32 + put.previous.count
                case .delete(let delete): sum + 32 + delete.previous.count
                default: sum + 32
                }
            }
        default: 0
        }
    }
}
