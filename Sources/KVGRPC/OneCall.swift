import GRPCCore
import KVService
import NIOCore

/// One call: who makes it, under which id, until when.
struct OneCall: Sendable {
    let method: GRPCMethod
    /// The service as the client may use it.
    let session: ClientSession
    /// The client's `x-request-id` where it is one, else one of our own.
    let requestID: String
    /// From when on a call that is ended is ended by its deadline: a little before the client stops waiting.
    let deadline: NIODeadline?
    let metadata: Metadata

    /// The failure where the call ended before its answer: by its deadline, or because the client or this server went away.
    var endedEarly: GRPCFailure {
        if let deadline, NIODeadline.now() >= deadline { return .deadline(isWrite: method.isWrite) }
        return GRPCFailure(.unavailable, "UNAVAILABLE", "the server is stopping or the call was cancelled")
    }

    var safety: RetrySafety {
        get throws(GRPCFailure) {
            do throws(ServiceError) {
                return try RetrySafety(
                    session: metadata.first("kv-session"),
                    sequence: metadata.first("kv-sequence"),
                    token: metadata.first("idempotency-key")
                )
            } catch {
                throw GRPCFailure(error)
            }
        }
    }

    /// Whether a node that does not lead the shard is to say who does.
    var redirects: Bool {
        get throws(GRPCFailure) {
            switch metadata.first("kv-redirect") {
            case nil, "false": return false
            case "true": return true
            case let other?: throw .badRequest("kv-redirect is '\(other)'; it is true or false")
            }
        }
    }
}

extension Metadata {
    /// The first text under a key.
    func first(_ key: String) -> String? {
        // Most calls have none of ours: looking is all that they pay.
        guard !isEmpty else { return nil }
        var iterator = self[stringValues: key].makeIterator()
        return iterator.next()
    }

    /// The call's `x-request-id` where it is one.
    var givenRequestID: String? {
        guard let given = first("x-request-id"), (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        return given
    }

    /// The call's `grpc-timeout`, which `StreamWatch` let through.
    var grpcTimeout: TimeAmount? { first("grpc-timeout").flatMap { GRPCTimeout($0)?.amount } }
}

/// `grpc-timeout`: one to eight digits and a unit, as the protocol has it.
///
/// The gRPC library takes any number and ends the process over a negative one, so that nothing else may come to it.
struct GRPCTimeout {
    let amount: TimeAmount

    init?(_ text: String) {
        let digits = text.utf8.dropLast()
        guard let unit = text.utf8.last, (1...8).contains(digits.count),
            digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int64(text.dropLast())
        else { return nil }
        switch unit {
        // A day is as good as for ever, and its nanoseconds are a number.
        case UInt8(ascii: "H"): amount = .hours(min(count, 24))
        case UInt8(ascii: "M"): amount = .minutes(min(count, 24 * 60))
        case UInt8(ascii: "S"): amount = .seconds(count)
        case UInt8(ascii: "m"): amount = .milliseconds(count)
        case UInt8(ascii: "u"): amount = .microseconds(count)
        case UInt8(ascii: "n"): amount = .nanoseconds(count)
        default: return nil
        }
    }
}
