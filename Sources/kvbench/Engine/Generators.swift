// The keys, values and random draws of RocksDB's db_bench, so that both programs do the same work on the same data.

/// The 64-bit Mersenne Twister (Matsumoto and Nishimura, 2004 parameters), which is what `std::mt19937_64` is.
struct MersenneTwister64 {
    private static let count = 312
    private static let shift = 156
    private var state: [UInt64]
    private var position = count

    init(seed: UInt64) {
        state = [UInt64](repeating: 0, count: Self.count)
        state[0] = seed
        for index in 1..<Self.count {
            let last = state[index - 1]
            state[index] = 6_364_136_223_846_793_005 &* (last ^ (last >> 62)) &+ UInt64(index)
        }
    }

    /// The next number, uniform over 64 bits.
    mutating func next() -> UInt64 {
        if position == Self.count { refill() }
        var number = state[position]
        position &+= 1
        number ^= (number >> 29) & 0x5555_5555_5555_5555
        number ^= (number << 17) & 0x71d6_7fff_eda6_0000
        number ^= (number << 37) & 0xfff7_eee0_0000_0000
        return number ^ (number >> 43)
    }

    private mutating func refill() {
        let upper: UInt64 = 0xffff_ffff_8000_0000
        for index in 0..<Self.count {
            let mixed = (state[index] & upper) | (state[(index + 1) % Self.count] & ~upper)
            let twist: UInt64 = mixed & 1 == 0 ? 0 : 0xb502_6f5a_a966_19e9
            state[index] = state[(index + Self.shift) % Self.count] ^ (mixed >> 1) ^ twist
        }
        position = 0
    }
}

/// Draws keys as a db_bench thread does: a put or get first draws which database it goes to (there is one), then the key.
struct KeyDraw {
    private var random: MersenneTwister64
    private let range: UInt64
    private let drawsDatabase: Bool

    /// - Parameters:
    ///   - seed: `--seed` and the thread's number together.
    ///   - range: how many different keys there are.
    ///   - drawsDatabase: whether the operation draws a database first; a seek does not.
    init(seed: UInt64, range: UInt64, drawsDatabase: Bool = true) {
        random = MersenneTwister64(seed: seed)
        self.drawsDatabase = drawsDatabase
        self.range = max(range, 1)
    }

    mutating func next() -> UInt64 {
        if drawsDatabase { _ = random.next() }
        return random.next() % range
    }
}

/// A key of db_bench: the number as eight big-endian bytes, then ASCII zeros; a shorter key has the low bytes only.
///
/// SAFETY: `memory` is of `count` bytes and lives as long as the object.
final class KeyBuffer {
    let bytes: UnsafeRawBufferPointer
    private let memory: UnsafeMutableRawPointer
    private let numberBytes: Int

    init(count: Int) {
        memory = .allocate(byteCount: max(count, 1), alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "0"), count: max(count, 1))
        bytes = UnsafeRawBufferPointer(start: memory, count: count)
        numberBytes = min(count, 8)
    }

    deinit { memory.deallocate() }

    /// Makes it the key of `number`.
    @inline(__always)
    func set(_ number: UInt64) {
        if numberBytes == 8 {
            memory.storeBytes(of: number.bigEndian, as: UInt64.self)
        } else {
            for place in 0..<numberBytes {
                let byte = UInt8(truncatingIfNeeded: number >> UInt64((numberBytes - place - 1) * 8))
                memory.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
            }
        }
    }
}

/// Values of db_bench: slices of one megabyte that is made of 100-byte pieces, each 50 printable bytes drawn at random and then
/// the same again (compressible by half).
final class ValueSource {
    private var bytes: [UInt8] = []
    private var position = 0

    init(valueBytes: Int, compressionRatio: Double = 0.5) {
        let piece = 100
        let fresh = max(1, Int(Double(piece) * compressionRatio))
        var random = ParkMiller(seed: 301)
        let total = max(1 << 20, valueBytes)
        bytes.reserveCapacity(total + piece)
        while bytes.count < total {
            var drawn: [UInt8] = []
            for _ in 0..<fresh { drawn.append(UInt8(32 + random.next() % 95)) }
            for place in 0..<piece { bytes.append(drawn[place % fresh]) }
        }
    }

    /// Gives `body` the next value of `count` bytes.
    @inline(__always)
    func withNext<R, E: Error>(_ count: Int, _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        if position + count > bytes.count { position = 0 }
        defer { position += count }
        let start = position
        return try bytes.withUnsafeBufferPointer { (buffer) throws(E) in
            try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[start..<(start + count)]))
        }
    }
}

/// The "minimal standard" generator of Park and Miller (1988): 16,807 modulo 2³¹ − 1.
private struct ParkMiller {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state * 16_807 % 2_147_483_647
        return state
    }
}
