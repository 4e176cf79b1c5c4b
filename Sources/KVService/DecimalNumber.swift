/// A decimal number with 17 places behind the point, exactly: what INCRBYFLOAT adds.
///
/// Every machine computes the same, which binary floating point of 80 bits, as Redis uses it, does not promise. The magnitude is
/// below 10²¹; further places are rounded, halves away from zero.
package struct DecimalNumber: Equatable, Sendable {
    /// How many places are behind the point.
    package static let placesMax = 17
    /// The longest text that is read.
    package static let textBytesMax = 256

    /// The number times 10¹⁷.
    private let scaled: Int128

    private init(scaled: Int128) { self.scaled = scaled }

    private static let bound: Int128 = powerOfTen(38)

    private static func powerOfTen(_ exponent: Int) -> Int128 {
        var power: Int128 = 1
        for _ in 0..<exponent { power *= 10 }
        return power
    }

    /// The number that a text writes: a sign, digits with or without a point, an exponent; nil for anything else and what is too big.
    package init?(_ text: UnsafeRawBufferPointer) {
        guard !text.isEmpty, text.count <= Self.textBytesMax else { return nil }
        var index = 0
        var isNegative = false
        if text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+") {
            isNegative = text[0] == UInt8(ascii: "-")
            index = 1
        }
        // The digits without the point, and how many of them are behind it.
        var digits: [UInt8] = []
        var places = 0
        var hasPoint = false
        while index < text.count {
            let byte = text[index]
            if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                digits.append(byte - UInt8(ascii: "0"))
                if hasPoint { places += 1 }
            } else if byte == UInt8(ascii: "."), !hasPoint {
                hasPoint = true
            } else {
                break
            }
            index += 1
        }
        guard !digits.isEmpty else { return nil }
        if index < text.count {
            guard text[index] == UInt8(ascii: "e") || text[index] == UInt8(ascii: "E"),
                let exponent = Self.exponent(UnsafeRawBufferPointer(rebasing: text[(index + 1)...]))
            else { return nil }
            places -= exponent
        }
        guard let magnitude = Self.scale(digits, places) else { return nil }
        scaled = isNegative ? -magnitude : magnitude
    }

    private static func exponent(_ text: UnsafeRawBufferPointer) -> Int? {
        var digits = text[...]
        var isNegative = false
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            digits = digits.dropFirst()
        }
        guard !digits.isEmpty, digits.count <= 4 else { return nil }
        var number = 0
        for byte in digits {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return isNegative ? -number : number
    }

    /// Digits with so many places as a multiple of 10⁻¹⁷.
    private static func scale(_ digits: [UInt8], _ places: Int) -> Int128? {
        // How many digits count; behind them zeros follow, or one more decides the rounding.
        let count = digits.count - places + placesMax
        guard count >= 0 else { return 0 }
        var magnitude: Int128 = 0
        for place in 0..<count {
            if place >= digits.count, magnitude == 0 { return 0 }
            magnitude = magnitude * 10 + (place < digits.count ? Int128(digits[place]) : 0)
            guard magnitude < bound else { return nil }
        }
        if count < digits.count, digits[count] >= 5 { magnitude += 1 }
        return magnitude < bound ? magnitude : nil
    }

    /// The sum; nil where it is too big.
    package func adding(_ other: DecimalNumber) -> DecimalNumber? {
        let sum = scaled + other.scaled
        return sum.magnitude < Self.bound.magnitude ? DecimalNumber(scaled: sum) : nil
    }

    /// The number as text, without zeros at the end: `-0.5`, `12`, `3.14`.
    package var text: String {
        let unit = Self.powerOfTen(Self.placesMax).magnitude
        let (whole, fraction) = scaled.magnitude.quotientAndRemainder(dividingBy: unit)
        var text = scaled < 0 ? "-\(whole)" : "\(whole)"
        if fraction != 0 {
            let digits = String(fraction)
            var tail = String(repeating: "0", count: Self.placesMax - digits.count) + digits
            while tail.last == "0" { tail.removeLast() }
            text += "." + tail
        }
        return text
    }
}
