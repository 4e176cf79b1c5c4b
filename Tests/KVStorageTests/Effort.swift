import Foundation

/// How much of a sweep runs: 1 in `make test`; `KV_EFFORT=10 swift test --filter KVStorageTests` runs ten times as much, where there
/// is so much.
enum Effort {
    static let factor = max(1, ProcessInfo.processInfo.environment["KV_EFFORT"].flatMap { Int($0) } ?? 1)

    /// From one place of a sweep to the next, where the usual run looks at every `usual`th.
    static func step(_ usual: Int) -> Int { max(1, usual / factor) }

    /// How many seeds, where the usual run takes `usual`.
    static func seeds(_ usual: UInt64) -> ClosedRange<UInt64> { 1...(usual * UInt64(factor)) }
}
