import KVBase

// Requests that must stand in one log entry have a bound together: an entry that no message can carry would never be committed, nor would
// anything behind it.

extension RequestBatch {
    /// What a joined request counts beyond its own bytes: what surrounds it in an entry, and in a row.
    private static let joinedOverheadBytes = 64

    /// Takes out the requests that join each other and are too long together; `refuse` hears of each, and of how many bytes they are.
    ///
    /// - Returns: the rest in the same order; nil where nothing was taken out.
    package func withoutOutgrown(_ refuse: (_ tag: UInt64, _ bytes: Int) -> Void) -> RequestBatch? {
        guard joins else { return nil }
        var outgrown: [(items: Range<Int>, bytes: Int)] = []
        var start = 0
        while start < items.count {
            var end = start + 1
            var size = Int(items[start].length) + Self.joinedOverheadBytes
            while end < items.count, items[end].joinsPrevious {
                size += Int(items[end].length) + Self.joinedOverheadBytes
                end += 1
            }
            if end > start + 1, size > Limits.batchBytesMax { outgrown.append((start..<end, size)) }
            start = end
        }
        guard !outgrown.isEmpty else { return nil }
        var rest = RequestBatch()
        rest.redirects = redirects
        var next = outgrown[...]
        bytes.withUnsafeBytes { bytes in
            for (place, item) in items.enumerated() {
                while let first = next.first, first.items.upperBound <= place { next.removeFirst() }
                if let first = next.first, first.items.contains(place) {
                    refuse(item.tag, first.bytes)
                    continue
                }
                let request = bytes[Int(item.offset)..<Int(item.offset) + Int(item.length)]
                rest.append(
                    UnsafeRawBufferPointer(rebasing: request),
                    like: item,
                    tag: item.tag,
                    joinsPrevious: item.joinsPrevious
                )
            }
        }
        return rest
    }

    /// What is said of requests that are too long together.
    package static func outgrownError(bytes: Int) -> ServiceError {
        ServiceError(
            .tooLarge,
            "keys and values of \(bytes) bytes are to take effect together, at most \(Limits.batchBytesMax) can: write them in several commands"
        )
    }
}
