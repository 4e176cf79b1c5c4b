/// Walks one table after another, of a sorted level or a single table of level 0: finds blocks for a `BlockCursor`
/// that lives in the merge's memory.
///
/// Called once a block, not once an entry.
final class TableRun {
    private let level: Level
    private let first: Int
    private let end: Int
    private let fillCache: Bool
    /// The table and the block in it that the cursor is on.
    private var position: Int
    private var reader: TableReader?
    private var blockIndex = 0
    private var blockCount = 0
    private var pin: Block?

    /// A run over the tables `range` of a level.
    init(_ level: Level, _ range: Range<Int>, fillCache: Bool) {
        self.level = level
        first = range.lowerBound
        end = range.upperBound
        position = range.lowerBound
        self.fillCache = fillCache
    }

    func seekToFirst(_ cursor: inout BlockCursor) throws(StorageError) {
        cursor.close()
        try open(first)
        blockIndex = -1
        try advance(&cursor)
    }

    func seekToLast(_ cursor: inout BlockCursor) throws(StorageError) {
        cursor.close()
        try open(end - 1)
        blockIndex = blockCount
        try retreat(&cursor)
    }

    /// The first entry not before (key, tag).
    func seek(_ key: ByteView, _ tag: UInt64, _ cursor: inout BlockCursor) throws(StorageError) {
        cursor.close()
        try open(firstTable(notBefore: key))
        guard let reader else { return }
        guard let index = try reader.indexPosition(notBefore: key) else {
            blockIndex = blockCount
            return try advance(&cursor)
        }
        blockIndex = index
        try load(&cursor)
        cursor.seek(key, tag)
        try check(cursor)
        if !cursor.isValid { try advance(&cursor) }
    }

    /// The last entry before (key, tag).
    func seekBefore(_ key: ByteView, _ tag: UInt64, _ cursor: inout BlockCursor) throws(StorageError) {
        cursor.close()
        let table = firstTable(notBefore: key)
        guard table < end else { return try seekToLast(&cursor) }
        try open(table)
        guard let reader else { return }
        guard let index = try reader.indexPosition(notBefore: key) else {
            blockIndex = blockCount
            return try retreat(&cursor)
        }
        blockIndex = index
        try load(&cursor)
        cursor.seekBefore(key, tag)
        try check(cursor)
        if !cursor.isValid { try retreat(&cursor) }
    }

    /// The first entry of the next block that has one, here or in the next tables; not valid at the end.
    func advance(_ cursor: inout BlockCursor) throws(StorageError) {
        cursor.close()
        while position < end {
            blockIndex += 1
            if blockIndex >= blockCount {
                try open(position + 1)
                blockIndex = -1
                continue
            }
            try load(&cursor)
            cursor.seekToFirst()
            try check(cursor)
            if cursor.isValid { return }
        }
        pin = nil
    }

    /// The last entry of the block before.
    func retreat(_ cursor: inout BlockCursor) throws(StorageError) {
        cursor.close()
        while position >= first, position < end {
            blockIndex -= 1
            if blockIndex < 0 {
                try open(position - 1)
                blockIndex = blockCount
                continue
            }
            try load(&cursor)
            cursor.seekToLast()
            try check(cursor)
            if cursor.isValid { return }
        }
        pin = nil
    }

    /// Reports bytes that did not parse.
    func check(_ cursor: BlockCursor) throws(StorageError) {
        guard cursor.isCorrupt, let reader else { return }
        throw reader.corrupt(try reader.handle(at: blockIndex), "entries do not parse")
    }

    private func firstTable(notBefore key: ByteView) -> Int {
        if end - first == 1 { return level.endsBefore(first, key) ? end : first }
        return min(max(level.firstNotBefore(key), first), end)
    }

    private func open(_ table: Int) throws(StorageError) {
        guard table != position || reader == nil else { return }
        position = table
        reader = nil
        blockCount = 0
        guard table >= first, table < end else { return }
        let opened = try level.files[table].openReader()
        reader = opened
        blockCount = opened.blockCount
    }

    private func load(_ cursor: inout BlockCursor) throws(StorageError) {
        guard let reader, let block = try reader.dataBlock(try reader.handle(at: blockIndex), fillCache: fillCache)
        else {
            return
        }
        pin = block
        cursor.open(block.view)
    }
}
