/// What load is put on a cluster.
struct LoadSettings: Sendable {
    var endpoints: [LoadEndpoint]
    var threads: Int
    var connections: Int
    /// Requests under way on one connection.
    var pipeline: Int
    /// Requests a second, all threads together; nil: each connection sends when it has room (closed loop).
    var rate: Double?
    /// How long it is measured, where no number of requests is given.
    var seconds: Double
    /// How many requests there are, all threads together.
    var requests: UInt64?
    /// What is sent before the measuring begins.
    var warmupSeconds: Double
    var mix: OperationMix
    var keys: KeyChooser.Settings
    var valueBytes: ClosedRange<Int>
    var seed: UInt64
    var timeoutSeconds: Double
}

/// How often each kind of request is drawn, in parts of the sum.
struct OperationMix: Sendable, Equatable {
    /// A kind of request.
    enum Kind: UInt8, CaseIterable, Sendable {
        case put
        case get
        case delete

        var name: String { "\(self)" }
    }

    var put: UInt64
    var get: UInt64
    var delete: UInt64

    /// Parses `put=50,get=45,delete=5`.
    /// - Throws: what is wrong with the text.
    init(_ text: String) throws {
        (put, get, delete) = (0, 0, 0)
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1)
            guard sides.count == 2, let share = UInt64(sides[1]), share <= 1_000_000 else {
                throw BenchmarkError("'\(part)' is no part of a mix; expected put=N, get=N or delete=N")
            }
            switch sides[0] {
            case "put": put = share
            case "get": get = share
            case "delete": delete = share
            default: throw BenchmarkError("a mix has put, get and delete, not '\(sides[0])'")
            }
        }
        guard put + get + delete > 0 else { throw BenchmarkError("the mix '\(text)' has nothing in it") }
    }

    /// The kind that a random number stands for.
    @inline(__always)
    func kind(_ random: UInt64) -> Kind {
        let drawn = random % (put + get + delete)
        if drawn < put { return .put }
        return drawn < put + get ? .get : .delete
    }
}
