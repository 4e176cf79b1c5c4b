package import KVStorage

// The storage engine's tablet as what the state machine needs.

extension Tablet: RowStore {
    /// Looks a row up without a copy.
    package func withRow(
        _ key: UnsafeRawBufferPointer,
        memoryOnly: Bool,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(StorageError) -> RowPresence {
        try get(key, memoryOnly: memoryOnly) { result in
            switch result {
            case .found(let value):
                body(value)
                return .found
            case .absent: return .absent
            case .needsDisk: return .needsDisk
            }
        }
    }

    /// A cursor as of `snapshot`, or now.
    ///
    /// Blocks that it reads do not push others out of the cache.
    package func makeCursor(at snapshot: Snapshot?) throws(StorageError) -> TabletIterator {
        try makeIterator(snapshot, fillCache: false)
    }
}

extension TabletIterator: RowCursor {
    /// Goes to the first row at or after `key`.
    package func seek(to key: [UInt8]) throws(StorageError) { try seek(key) }

    /// Goes to the last row before `key`.
    package func seek(before key: [UInt8]) throws(StorageError) {
        try seekForPrevious(key)
        if isValid, self.key.elementsEqual(key) { try previous() }
    }
}
