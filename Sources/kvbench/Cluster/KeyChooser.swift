import Foundation

/// Draws the numbers of keys.
struct KeyChooser {
    /// How keys are drawn.
    enum Order: String, CaseIterable, Sendable {
        /// Each as often as any other.
        case uniform
        /// Few keys take most requests (Zipf's law with exponent 0.99, as YCSB has it), spread over the whole range.
        case zipfian
        /// One after the other.
        case sequential
    }

    struct Settings: Sendable {
        var order: Order
        /// How many different keys there are.
        var count: UInt64
        /// How long a key is; short ones become longer where their number needs it.
        var bytes: Int
    }

    private let settings: Settings
    private var next: UInt64
    private let step: UInt64
    private let zipf: Zipf?

    /// A chooser; those of `step` threads with starts 0 ..< `step` go through a sequence together.
    init(_ settings: Settings, start: UInt64, step: UInt64) {
        self.settings = settings
        next = start
        self.step = step
        zipf = settings.order == .zipfian ? Zipf(count: settings.count) : nil
    }

    /// The number of the next key, below the count.
    @inline(__always)
    mutating func draw(_ random: UInt64) -> UInt64 {
        switch settings.order {
        case .uniform: return random % settings.count
        case .sequential:
            defer { next += step }
            return next % settings.count
        case .zipfian:
            // The ranks are scattered, or the hot keys would all stand in one place.
            return mixed(zipf?.rank(Double(random >> 11) * 0x1p-53) ?? 0) % settings.count
        }
    }

    /// Writes the key's word: `key:` and the number with zeros in front.
    func append(_ number: UInt64, to queue: ByteQueue) {
        let width = max(1, settings.bytes - 4)
        let digits = max(width, decimalDigits(number))
        queue.append("$")
        queue.append(decimal: UInt64(digits + 4))
        queue.append("\r\nkey:")
        queue.append(decimal: number, width: width)
        queue.append("\r\n")
    }
}

/// How many digits a number has.
@inline(__always)
func decimalDigits(_ number: UInt64) -> Int {
    var (rest, digits) = (number / 10, 1)
    while rest > 0 {
        rest /= 10
        digits += 1
    }
    return digits
}

/// Ranks that follow Zipf's law, by the method of Gray et al., "Quickly generating billion-record synthetic databases" (1994).
struct Zipf {
    private let count: Double
    private let theta = 0.99
    private let alpha: Double
    private let zeta: Double
    private let eta: Double

    init(count: UInt64) {
        self.count = Double(count)
        var sum = 0.0
        for rank in 1...max(count, 1) { sum += 1 / pow(Double(rank), theta) }
        zeta = sum
        alpha = 1 / (1 - theta)
        let two = 1 + 1 / pow(2, theta)
        eta = (1 - pow(2 / Double(count), 1 - theta)) / (1 - two / zeta)
    }

    /// The rank for a number from 0 up to 1; 0 is the most frequent.
    func rank(_ uniform: Double) -> UInt64 {
        let scaled = uniform * zeta
        if scaled < 1 { return 0 }
        if scaled < 1 + pow(0.5, theta) { return 1 }
        return UInt64(max(0, min(count - 1, count * pow(eta * uniform - eta + 1, alpha))))
    }
}

/// Numbers that look random, by a fixed sequence (SplitMix64).
struct SplitMix {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    @inline(__always)
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return mixed(state)
    }
}

/// A number of which each bit depends on all bits of the given one.
@inline(__always)
func mixed(_ number: UInt64) -> UInt64 {
    var result = number
    result = (result ^ (result >> 30)) &* 0xbf58_476d_1ce4_e5b9
    result = (result ^ (result >> 27)) &* 0x94d0_49bb_1331_11eb
    return result ^ (result >> 31)
}
