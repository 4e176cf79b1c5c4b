import KVService

/// Why a command was not accepted; each has the text that Redis gives.
enum RESPError: Error, Equatable, Sendable {
    /// The command's name, in lower case.
    case wrongArity(String)
    case syntax
    case notAnInteger
    /// The command's name, in lower case.
    case invalidExpire(String)
    /// Keys of different slots where they must be of one.
    case crossSlot
    /// A full error line without the leading `-`.
    case line(String)

    /// The error line without the leading `-`.
    var text: String {
        switch self {
        case .wrongArity(let command): "ERR wrong number of arguments for '\(command)' command"
        case .syntax: "ERR syntax error"
        case .notAnInteger: "ERR value is not an integer or out of range"
        case .invalidExpire(let command): "ERR invalid expire time in '\(command)' command"
        case .crossSlot: "CROSSSLOT Keys in request don't hash to the same slot"
        case .line(let line): line
        }
    }
}

extension ServiceError {
    /// The error line for this failure, without the leading `-`: the one table from codes to RESP.
    var respLine: String {
        switch code {
        case .notAnInteger: "ERR value is not an integer or out of range"
        case .notANumber: "ERR value is not a valid float"
        case .outOfRange: "ERR increment or decrement would overflow"
        case .noLeader: "CLUSTERDOWN \(message)"
        case .notLeader: "TRYAGAIN \(message)"
        case .moving: "TRYAGAIN \(message)"
        case .overloaded: "OVERLOADED \(message)"
        case .diskFull: "DISKFULL \(message)"
        case .unknownOutcome: "UNKNOWN \(message)"
        case .timeout: "TRYAGAIN \(message)"
        case .unavailable: "LOADING \(message)"
        case .corruption: "ERR stored data is damaged: \(message)"
        case .cursorExpired: "ERR cursor expired, start again at 0"
        case .badRequest, .tooLarge, .notFound, .conflict: "ERR \(message)"
        case .moved: "MOVED \(message)"
        default: "ERR \(code.rawValue): \(message)"
        }
    }
}

extension ServiceError.Code {
    /// Within this edge: the client is to ask another node; the message is slot and address.
    static let moved = ServiceError.Code(rawValue: "moved")
}
