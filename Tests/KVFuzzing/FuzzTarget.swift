/// Something that reads bytes from outside and must not trap, whatever they are.
///
/// `scripts/fuzz` gives it inputs that libFuzzer makes; `FuzzTests` those of `Fuzz/corpus` and the seeds.
package struct FuzzTarget: Sendable {
    /// What it is called on a command line, and its folder in the corpus.
    package let name: String
    /// Inputs that are right, or nearly: where the fuzzer starts.
    package let seeds: @Sendable () -> [[UInt8]]
    /// Reads one input.
    package let run: @Sendable (UnsafeRawBufferPointer) -> Void

    /// Every target.
    package static let all: [FuzzTarget] =
        StorageTargets.all + LogTargets.all + RecordTargets.all + NetworkTargets.all + HTTPTargets.all
        + SessionTargets.all

    /// The target of this name.
    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// Takes what a decoder made, so that no decoder is optimized away.
@inline(never)
func consume<T>(_ value: T) {}

/// Stops the process: what must hold for every input did not.
func require(_ condition: Bool, _ what: @autoclosure () -> String) {
    if !condition { preconditionFailure(what()) }
}

/// Takes an input apart: numbers and pieces, never past its end.
struct FuzzInput {
    private var rest: UnsafeRawBufferPointer.SubSequence

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    /// The next byte; 0 past the end.
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// Two bytes, little-endian.
    mutating func number() -> Int { Int(byte()) | Int(byte()) << 8 }

    /// A piece that says its own length; what is left where that is less.
    mutating func piece() -> [UInt8] { take(number()) }

    /// All that is left.
    mutating func remainder() -> [UInt8] { take(rest.count) }

    private mutating func take(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}

extension [UInt8] {
    /// Appends a piece as `FuzzInput.piece` reads it.
    mutating func append(piece: [UInt8]) {
        append(UInt8(truncatingIfNeeded: piece.count))
        append(UInt8(truncatingIfNeeded: piece.count >> 8))
        append(contentsOf: piece)
    }
}
