/// Where an argument stands in the bytes of its command.
struct ArgumentRange: Equatable {
    var offset: Int
    var count: Int
}

/// A command's name and arguments: views into the connection's input.
///
/// SAFETY: valid only while the closure runs that made it; every range was checked against the bytes when it was parsed.
struct Arguments {
    let base: UnsafeRawPointer
    let ranges: UnsafeBufferPointer<ArgumentRange>

    /// How many there are, the command's name included.
    var count: Int { ranges.count }

    /// The bytes of an argument; 0 is the command's name.
    subscript(_ index: Int) -> UnsafeRawBufferPointer {
        let range = ranges[index]
        return UnsafeRawBufferPointer(start: base + range.offset, count: range.count)
    }

    /// The arguments behind the first `count`.
    ///
    /// - Precondition: there are more.
    func dropping(_ count: Int) -> Arguments {
        precondition(count < ranges.count, "\(count) of \(ranges.count) arguments dropped")
        return Arguments(base: base, ranges: UnsafeBufferPointer(rebasing: ranges[count...]))
    }

    /// An argument as text, invalid UTF-8 repaired.
    func text(_ index: Int) -> String { String(decoding: self[index], as: UTF8.self) }

    /// An argument as a number, by Redis's strict rules: no sign `+`, no space, no leading zeros.
    func integer(_ index: Int) throws(RESPError) -> Int64 {
        guard let number = parseInteger(self[index]) else { throw .notAnInteger }
        return number
    }

    /// Whether an argument is this word; `word` is in capitals.
    func matches(_ index: Int, _ word: StaticString) -> Bool {
        isWord(self[index], word)
    }
}

/// Whether `bytes` is `word` but for the case of its letters; `word` is in capitals.
func isWord(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
    guard bytes.count == word.utf8CodeUnitCount else { return false }
    for index in 0..<bytes.count {
        let byte = bytes[index]
        let folded = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") ? byte & 0xdf : byte
        if folded != word.utf8Start[index] { return false }
    }
    return true
}

/// A decimal 64-bit number as Redis's `string2ll` reads it, or nil.
func parseInteger(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard bytes.count > 0, bytes.count <= 20 else { return nil }
    let isNegative = bytes[0] == UInt8(ascii: "-")
    var index = isNegative ? 1 : 0
    guard index < bytes.count else { return nil }
    if bytes[index] == UInt8(ascii: "0") { return bytes.count == 1 ? 0 : nil }
    var magnitude: UInt64 = 0
    while index < bytes.count {
        let digit = bytes[index] &- UInt8(ascii: "0")
        guard digit <= 9 else { return nil }
        let (product, overflowed) = magnitude.multipliedReportingOverflow(by: 10)
        let (sum, carried) = product.addingReportingOverflow(UInt64(digit))
        guard !overflowed, !carried else { return nil }
        magnitude = sum
        index += 1
    }
    if isNegative {
        guard magnitude <= UInt64(Int64.max) + 1 else { return nil }
        return Int64(truncatingIfNeeded: 0 &- magnitude)
    }
    return magnitude <= UInt64(Int64.max) ? Int64(magnitude) : nil
}
