/// What a load of gRPC calls asks for: of this store, or the same of etcd, whose messages happen to look alike.
enum CallKind: String, CaseIterable, Sendable {
    case put
    case get
    /// Puts over one stream for each connection.
    case pipeline
    /// The health service: a call that does next to nothing.
    case health
    case etcdPut = "etcd-put"
    /// Linearizable, as etcd's are unless asked for otherwise.
    case etcdGet = "etcd-get"

    var path: String {
        switch self {
        case .put: "/kv.v1.KV/Put"
        case .get: "/kv.v1.KV/Get"
        case .pipeline: "/kv.v1.KV/Pipeline"
        case .health: "/grpc.health.v1.Health/Check"
        case .etcdPut: "/etcdserverpb.KV/Put"
        case .etcdGet: "/etcdserverpb.KV/Range"
        }
    }

    /// How many bytes of a request its message has at most, beside key and value.
    static let overheadBytesMax = 64

    /// Appends a request's message: the key is field 1, the value field 2.
    func append(to bytes: inout [UInt8], key: UInt64, keyBytes: Int, value: [UInt8]) {
        switch self {
        case .health: break
        case .get, .etcdGet: Self.append(field: 1, key: key, keyBytes, to: &bytes)
        case .put, .etcdPut, .pipeline:
            Self.append(field: 1, key: key, keyBytes, to: &bytes)
            Self.append(length: value.count, field: 2, to: &bytes)
            bytes += value
        }
    }

    /// Appends a call of a pipeline to its message: the id is field 1, the put field 4.
    static func append(call id: UInt64, put: [UInt8], to bytes: inout [UInt8]) {
        var call: [UInt8] = [0x08]
        append(varint: id, to: &call)
        append(length: put.count, field: 4, to: &call)
        append(length: call.count + put.count, field: 1, to: &bytes)
        bytes += call
        bytes += put
    }

    private static func append(field: UInt8, key: UInt64, _ count: Int, to bytes: inout [UInt8]) {
        append(length: count, field: field, to: &bytes)
        let start = bytes.count
        bytes += [UInt8](repeating: UInt8(ascii: "0"), count: count)
        var (rest, place) = (key, bytes.count - 1)
        while rest > 0, place >= start {
            bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
            place -= 1
        }
    }

    private static func append(length: Int, field: UInt8, to bytes: inout [UInt8]) {
        bytes.append(field << 3 | 2)
        append(varint: UInt64(length), to: &bytes)
    }

    static func append(varint number: UInt64, to bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// Reads the answers of a pipeline's messages, as far as the load needs them.
struct AnswerScanner {
    private var bytes: [UInt8] = []

    /// Takes bytes of the stream and hands over the answers that are whole: their ids, and whether they are errors.
    ///
    /// - Returns: false where the bytes are no answers.
    mutating func take(_ more: UnsafeRawBufferPointer, _ body: (_ id: UInt64, _ isError: Bool) -> Void) -> Bool {
        bytes += more
        var start = 0
        while bytes.count - start >= 5 {
            let length = bytes[(start + 1)..<(start + 5)].reduce(0) { $0 << 8 | Int($1) }
            guard bytes.count - start - 5 >= length else { break }
            guard scan(bytes[(start + 5)..<(start + 5 + length)], body) else { return false }
            start += 5 + length
        }
        bytes.removeFirst(start)
        return true
    }

    private func scan(_ message: ArraySlice<UInt8>, _ body: (UInt64, Bool) -> Void) -> Bool {
        var rest = message
        while !rest.isEmpty {
            guard rest.popFirst() == 0x0a, let length = Self.varint(&rest), rest.count >= Int(length) else {
                return false
            }
            var answer = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            var (id, isError): (UInt64, Bool) = (0, true)
            while let tag = answer.popFirst() {
                if tag == 0x08 {
                    guard let number = Self.varint(&answer) else { return false }
                    id = number
                } else {
                    guard tag & 7 == 2, let length = Self.varint(&answer), answer.count >= Int(length) else {
                        return false
                    }
                    answer = answer.dropFirst(Int(length))
                    isError = tag >> 3 == 2
                }
            }
            body(id, isError)
        }
        return true
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var (number, shift): (UInt64, UInt64) = (0, 0)
        while let byte = bytes.popFirst(), shift < 63 {
            number |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return number }
            shift += 7
        }
        return nil
    }
}
