import HTTPTypes
import Hummingbird
import KVBase
import KVService

// POST /v1/batch: conditions and operations on keys of one slot, all of it or nothing.
//
//   {"conditions": [{"keyUtf8": "a", "ifVersion": "7"}, {"keyUtf8": "b", "ifAbsent": true}],
//    "operations": [{"op": "put", "keyUtf8": "a", "valueUtf8": "1", "ttl": "30s"}, {"op": "get", "key": "Yg=="}]}
//
// Keys and values are base64, or text with the suffix Utf8, as answers have them.

extension HTTPEdge {
    func batch(_ request: Request, _ context: HTTPContext, _ target: Target) async throws(HTTPFailure) -> Response {
        try target.check([])
        let bytes = try await readBody(
            request,
            context,
            bytesMax: service.requestLimits.valueBytesMax,
            timeout: settings.bodyTimeout
        )
        let plan = try BatchPlan(try JSONValue(bytes), service.requestLimits)
        let reply = try await write(request, target) { $0 = plan.batch($0) }
        if reply.outcome == .conditionFailed { throw plan.failure(reply) }
        var results: [(operation: String, reply: OwnedReply)] = []
        (reply.value ?? []).withUnsafeBytes { bytes in
            // What the service encoded can be read; a result that is missing would show in the count.
            try? ReplyFormat.decode(bytes) { tag, reply in
                guard Int(tag) >= plan.conditionCount else { return }
                results.append((plan.names[Int(tag) - plan.conditionCount], OwnedReply(copying: reply)))
            }
        }
        guard results.count == plan.names.count else {
            throw HTTPFailure(ServiceError(.internalError, "the batch was done, but its results cannot be read"))
        }
        var body = JSONText()
        body.object {
            $0.key("results")
            $0.array(results) { $1.reply.write(to: &$0, after: $1.operation) }
        }
        return json(.ok, body.text)
    }
}

extension OwnedReply {
    fileprivate func write(to json: inout JSONText, after operation: String) {
        json.object {
            $0.field("op", operation)
            $0.field("version", String(version))
            if expiresAt != 0 { $0.field("expiresAt", expiresAt) }
            switch outcome {
            case .found:
                $0.field("found", true)
                if let value { $0.bytes("value", value) }
            case .absent: $0.field("found", false)
            case .number: $0.field("number", integer)
            default: if let value { $0.bytes("previous", value) }
            }
        }
    }
}

/// A batch that was read: requests that become one transaction.
private struct BatchPlan {
    private(set) var conditionCount = 0
    /// What the operations are.
    private(set) var names: [String] = []
    private var requests = RequestBatch()

    init(_ json: JSONValue, _ limits: RequestLimits) throws(HTTPFailure) {
        guard case .object(let members) = json else { throw .badRequest("a batch is a JSON object") }
        for name in members.keys.sorted() where name != "conditions" && name != "operations" {
            throw .badRequest("unknown member '\(name)'; known are: conditions, operations")
        }
        for (place, condition) in try Self.list(members["conditions"], "conditions").enumerated() {
            try add(condition: BatchMember(condition, "condition \(place)", limits))
            conditionCount += 1
        }
        for (place, operation) in try Self.list(members["operations"], "operations").enumerated() {
            try add(operation: BatchMember(operation, "operation \(place)", limits))
        }
        let count = requests.items.count
        guard (1...SessionLimits.transactionRequestsMax).contains(count) else {
            throw .badRequest("a batch has 1 to \(SessionLimits.transactionRequestsMax) conditions and operations")
        }
        guard Set(requests.items.map(\.slot)).count == 1 else {
            throw .badRequest("the keys of a batch must share one slot: give them the same {tag}")
        }
    }

    /// The batch as one request.
    func batch(_ settings: RequestBatch) -> RequestBatch {
        var batch = requests
        batch.redirects = settings.redirects
        // All slots are equal, so they can be joined.
        _ = batch.joinAsTransaction(from: 0, flags: .allOrNothing, tag: 0)
        return batch
    }

    /// 409 for what did not hold.
    func failure(_ reply: OwnedReply) -> HTTPFailure {
        let place = Int(reply.integer)
        let isCondition = place < conditionCount
        let what = isCondition ? "condition \(place)" : "operation \(place - conditionCount)"
        let now = reply.version == 0 ? "the key is absent" : "the key has version \(reply.version)"
        var failure = HTTPFailure(.conflict, "condition_failed", "nothing was changed: \(what) does not hold, \(now)")
        failure.details = [(isCondition ? "condition" : "operation", isCondition ? place : place - conditionCount)]
        return failure
    }

    private static func list(_ value: JSONValue?, _ name: String) throws(HTTPFailure) -> [JSONValue] {
        switch value {
        case nil: return []
        case .array(let elements): return elements
        default: throw .badRequest("'\(name)' is an array")
        }
    }

    private mutating func add(condition member: BatchMember) throws(HTTPFailure) {
        try member.check(["key", "keyUtf8", "ifVersion", "ifAbsent", "ifPresent"])
        let condition = try member.condition()
        guard condition != .none else {
            throw .badRequest("\(member.place) has one of ifVersion, ifAbsent and ifPresent")
        }
        try member.key().withUnsafeBytes { requests.check($0, condition, tag: 0) }
    }

    private mutating func add(operation member: BatchMember) throws(HTTPFailure) {
        let name = try member.text("op") ?? ""
        let key = try member.key()
        let known: Set<String> = ["op", "key", "keyUtf8"]
        switch name {
        case "get":
            try member.check(known)
            key.withUnsafeBytes { requests.get($0, tag: 0) }
        case "put":
            try member.check(
                known.union(["value", "valueUtf8", "ttl", "return", "ifVersion", "ifAbsent", "ifPresent"])
            )
            let (value, condition) = (try member.value(), try member.condition())
            let expiry = try member.expiry() ?? .none
            let flags: RequestFlags = try member.returnsPrevious() ? .returnPrevious : []
            key.withUnsafeBytes { key in
                value.withUnsafeBytes {
                    requests.put(key, $0, tag: 0, condition: condition, expiry: expiry, flags: flags)
                }
            }
        case "delete":
            try member.check(known.union(["return", "ifVersion", "ifPresent"]))
            let condition = try member.condition()
            let flags: RequestFlags = try member.returnsPrevious() ? .returnPrevious : []
            key.withUnsafeBytes { requests.delete($0, tag: 0, condition: condition, flags: flags) }
        case "increment":
            try member.check(known.union(["by"]))
            let amount = try member.amount()
            key.withUnsafeBytes { requests.increment($0, by: amount, tag: 0) }
        case "append":
            try member.check(known.union(["value", "valueUtf8"]))
            let value = try member.value()
            key.withUnsafeBytes { key in value.withUnsafeBytes { requests.append(key, $0, tag: 0) } }
        case "expire":
            try member.check(known.union(["ttl"]))
            let expiry = try member.expiry() ?? .none
            key.withUnsafeBytes { requests.expire($0, expiry, tag: 0) }
        default:
            throw .badRequest("\(member.place) has 'op' '\(name)'; it is get, put, delete, increment, append or expire")
        }
        names.append(name)
    }
}

/// One condition or operation of a batch.
private struct BatchMember {
    let place: String
    private let members: [String: JSONValue]
    private let limits: RequestLimits

    init(_ json: JSONValue, _ place: String, _ limits: RequestLimits) throws(HTTPFailure) {
        guard case .object(let members) = json else { throw .badRequest("\(place) is a JSON object") }
        self.members = members
        self.place = place
        self.limits = limits
    }

    func check(_ known: Set<String>) throws(HTTPFailure) {
        for name in members.keys.sorted() where !known.contains(name) {
            throw .badRequest(
                "\(place): unknown member '\(name)'; known are: \(known.sorted().joined(separator: ", "))"
            )
        }
    }

    func text(_ name: String) throws(HTTPFailure) -> String? {
        switch members[name] {
        case nil: return nil
        case .string(let text): return text
        default: throw .badRequest("\(place): '\(name)' is a string")
        }
    }

    /// Bytes in base64 under `name`, or as text under `name` and Utf8.
    private func bytes(_ name: String) throws(HTTPFailure) -> [UInt8]? {
        let (encoded, plain) = (try text(name), try text(name + "Utf8"))
        guard let encoded else { return plain.map { Array($0.utf8) } }
        guard plain == nil else { throw .badRequest("\(place) has one of \(name) and \(name)Utf8") }
        guard let bytes = Base64.decode(encoded) else { throw .badRequest("\(place): '\(name)' is not base64") }
        return bytes
    }

    func key() throws(HTTPFailure) -> [UInt8] {
        guard let key = try bytes("key"), !key.isEmpty else { throw .badRequest("\(place) has a key (key or keyUtf8)") }
        guard key.count <= limits.keyBytesMax else {
            throw .badRequest("\(place): the key has \(key.count) bytes; the limit is \(limits.keyBytesMax)")
        }
        return key
    }

    func value() throws(HTTPFailure) -> [UInt8] {
        guard let value = try bytes("value") else { throw .badRequest("\(place) has a value (value or valueUtf8)") }
        return value
    }

    private func flag(_ name: String) throws(HTTPFailure) -> Bool {
        switch members[name] {
        case nil, .bool(false): return false
        case .bool(true): return true
        default: throw .badRequest("\(place): '\(name)' is true or false")
        }
    }

    func condition() throws(HTTPFailure) -> Condition {
        var found: [Condition] = []
        if let text = try text("ifVersion") {
            guard let version = UInt64(text) else { throw .badRequest("\(place): 'ifVersion' is a version as text") }
            found.append(.version(version))
        }
        if try flag("ifAbsent") { found.append(.absent) }
        if try flag("ifPresent") { found.append(.present) }
        guard found.count <= 1 else { throw .badRequest("\(place) has one of ifVersion, ifAbsent and ifPresent") }
        return found.first ?? .none
    }

    func expiry() throws(HTTPFailure) -> Expiry? {
        try text("ttl").map { (text) throws(HTTPFailure) in try duration(text, named: "\(place): 'ttl'") }
    }

    func returnsPrevious() throws(HTTPFailure) -> Bool {
        switch try text("return") {
        case nil: return false
        case "previous": return true
        case let other?: throw .badRequest("\(place): 'return' is '\(other)'; it is previous")
        }
    }

    func amount() throws(HTTPFailure) -> Int64 {
        switch members["by"] {
        case nil: return 1
        case .number(let text), .string(let text):
            guard let number = Int64(text) else { break }
            return number
        default: break
        }
        throw .badRequest("\(place): 'by' is a whole number of 64 bits")
    }
}
