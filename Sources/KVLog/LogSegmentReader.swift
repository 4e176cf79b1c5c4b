import KVBase
package import KVEnvironment

/// Reads the records of one file, one after the other, and says how it ends.
///
/// 1. `next` reads chunks until a record is whole; a record of one chunk is a view into the window, others are put together.
/// 2. At the first byte that is no valid chunk it stops and looks at everything behind: a valid chunk that names a durable position
///    beyond this place proves damage; without one it is a torn tail; with nothing but zeros it is the end.
/// 3. Where `limit` is given (the successor's header named it), everything before it is proven, and nothing after it is read.
///
/// Bytes are never believed: whatever they are, it returns. Not thread-safe.
package final class LogSegmentReader {
    /// The record's kind, after `next` returned true.
    package private(set) var kind = LogRecordKind.header
    /// The record's bytes without the kind, valid until the next call.
    package private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Where the record's first chunk stands in the file.
    package private(set) var recordOffset: UInt64 = 0
    /// What comes after the last whole record's last chunk.
    package private(set) var endOffset: UInt64 = 0
    /// The durable position that the last read chunk names.
    package private(set) var claimedPosition: UInt64 = 0
    /// The greatest durable position that any read chunk names.
    package private(set) var provenThrough: UInt64 = 0
    /// How the file ends, after `next` returned false.
    package private(set) var verdict: LogVerdict?
    /// The file's number; from its first chunk where none was given.
    package private(set) var number: UInt32
    /// The position of the file's first byte; the owner sets it once the header told.
    package var start: UInt64 = 0 {
        didSet { provenThrough = max(provenThrough, start) }
    }

    private let file: any File
    private var size: UInt64
    /// Where the segment ends by its successor's word; nil for the last.
    private let limit: UInt64?
    /// Where the next chunk is looked for.
    private var offset: UInt64 = 0
    private let window: UnsafeMutableRawBufferPointer
    private var windowStart: UInt64 = 0
    private var windowCount = 0
    /// A record of several chunks, and how much of it is there.
    private var gathered = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var gatheredCount = 0

    /// Reads `file` from its start.
    ///
    /// `number` 0: the first chunk says it.
    /// - Throws: where the size cannot be read.
    package init(
        _ file: any File,
        number: UInt32 = 0,
        limit: UInt64? = nil,
        windowBlocks: Int = 8
    ) throws(FileError) {
        self.file = file
        self.number = number
        self.limit = limit
        size = try file.size()
        window = .allocate(byteCount: max(1, windowBlocks) * LogFormat.blockBytes, alignment: 16)
    }

    deinit {
        window.deallocate()
        gathered.deallocate()
    }

    /// Goes on at `offset`, where a record begins, with fresh bytes from the file.
    /// - Throws: where the size cannot be read.
    package func seek(to offset: UInt64) throws(FileError) {
        size = try file.size()
        self.offset = offset
        endOffset = offset
        windowCount = 0
        verdict = nil
    }

    /// Goes to the next record.
    ///
    /// False at the end: `verdict` says which.
    package func next() -> Bool {
        guard verdict == nil else { return false }
        do {
            return try findRecord()
        } catch {
            verdict = .inputOutput(error)
            return false
        }
    }

    /// Where the last whole record ends.
    package var endPlace: LogPlace { place(endOffset) }

    private func place(_ offset: UInt64) -> LogPlace {
        LogPlace(path: file.path, offset: offset, position: start &+ offset)
    }

    private func findRecord() throws(FileError) -> Bool {
        gatheredCount = 0
        var isInside = false
        while true {
            guard try skipBlockEnd() else { return try stop(isInside ? recordOffset : offset, isInside: isInside) }
            if let limit, offset >= limit {
                guard offset == limit, !isInside else { return try stop(isInside ? recordOffset : endOffset) }
                verdict = .cleanEnd(place(limit), isClosed: false)
                return false
            }
            if !isInside { recordOffset = offset }
            guard let chunk = try chunk(at: offset) else { return try stop(recordOffset, isInside: isInside) }
            switch chunk.position {
            case .zeroed:
                return try stop(recordOffset, isInside: isInside)
            case .endOfFile:
                guard !isInside else { return try stop(recordOffset, isInside: true) }
                note(chunk)
                endOffset = offset
                try takeSecondEnd()
                if let limit, limit != endOffset {
                    verdict = .corruption(place(endOffset), provenDurableThrough: start &+ limit, .badChunk)
                } else {
                    verdict = .cleanEnd(place(endOffset), isClosed: true)
                }
                return false
            case .full:
                guard !isInside else { return try stop(recordOffset, isInside: true) }
                note(chunk)
                endOffset = offset
                // An empty one is no record: it only names a durable position.
                if chunk.payload.isEmpty { continue }
                return deliver(chunk.payload)
            case .first:
                guard !isInside else { return try stop(recordOffset, isInside: true) }
                isInside = true
            case .middle, .last:
                guard isInside else { return try stop(recordOffset) }
            }
            guard gatheredCount + chunk.payload.count <= LogFormat.recordBytesMax else {
                return try stop(recordOffset, isInside: true)
            }
            gather(chunk.payload)
            note(chunk)
            if chunk.position == .last {
                guard gatheredCount > 0 else { return try stop(recordOffset, isInside: true) }
                endOffset = offset
                return deliver(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(gathered)[..<gatheredCount]))
            }
        }
    }

    private func deliver(_ record: UnsafeRawBufferPointer) -> Bool {
        kind = LogRecordKind(rawValue: record[0])
        payload = UnsafeRawBufferPointer(rebasing: record[1...])
        return true
    }

    private func note(_ chunk: Chunk) {
        offset += UInt64(LogFormat.chunkHeaderBytes + chunk.payload.count)
        claimedPosition = chunk.synced
        provenThrough = max(provenThrough, chunk.synced)
    }

    /// What is too short for a header at the end of a block is zeros; false where it is not.
    private func skipBlockEnd() throws(FileError) -> Bool {
        let left = UInt64(LogFormat.blockBytes) - offset % UInt64(LogFormat.blockBytes)
        guard left < UInt64(LogFormat.chunkHeaderBytes) else { return true }
        if let limit, offset == limit { return true }
        if offset < size {
            let block = offset - offset % UInt64(LogFormat.blockBytes)
            let bytes = try bytes(ofBlock: block)
            let rest = min(Int(offset - block), bytes.count)
            guard Self.isZero(UnsafeRawBufferPointer(rebasing: bytes[rest...])) else { return false }
        }
        offset += left
        return true
    }

    /// A clean close writes its chunk twice, the second after the first is durable: so the first is proven, and of damage to the
    /// second the first still tells.
    private func takeSecondEnd() throws(FileError) {
        if let limit, offset >= limit { return }
        let before = offset
        if try skipBlockEnd(), let chunk = try chunk(at: offset), chunk.position == .endOfFile {
            note(chunk)
            endOffset = offset
        } else {
            offset = before
        }
    }

    // MARK: Judging

    /// Judges the place where no valid chunk is, or one that cannot follow; `cut` is where the last whole record ends.
    private func stop(_ cut: UInt64, isInside: Bool = false) throws(FileError) -> Bool {
        if let limit {
            verdict = .corruption(place(offset), provenDurableThrough: start &+ limit, .badChunk)
            return false
        }
        let behind = try evidence(from: offset, claiming: start &+ cut)
        if let proven = behind.proven {
            verdict = .corruption(place(offset), provenDurableThrough: max(proven, provenThrough), .badChunk)
        } else if provenThrough > start &+ cut {
            verdict = .corruption(place(offset), provenDurableThrough: provenThrough, .badChunk)
        } else if isInside || behind.hasData {
            verdict = .tornTail(place(endOffset))
        } else {
            verdict = .cleanEnd(place(endOffset), isClosed: false)
        }
        return false
    }

    /// Whether anything but zeros follows, and the greatest durable position beyond `cut` that a valid chunk there names.
    ///
    /// Every offset is tried, for the chain of lengths is broken: the file's number in the right place is what makes it quick.
    private func evidence(from: UInt64, claiming cut: UInt64) throws(FileError) -> (proven: UInt64?, hasData: Bool) {
        var proven: UInt64?
        var hasData = false
        var block = from - from % UInt64(LogFormat.blockBytes)
        while block < size {
            let bytes = try bytes(ofBlock: block)
            var inBlock = block < from ? Int(from - block) : 0
            if Self.isZero(UnsafeRawBufferPointer(rebasing: bytes[min(inBlock, bytes.count)...])) {
                block += UInt64(LogFormat.blockBytes)
                continue
            }
            hasData = true
            while inBlock + LogFormat.chunkHeaderBytes <= bytes.count {
                let found = UInt32(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: inBlock + LogFormat.numberOffset, as: UInt32.self)
                )
                if found == number, let chunk = chunk(in: bytes, at: inBlock, fileOffset: block + UInt64(inBlock)),
                    chunk.position != .zeroed, chunk.synced > cut
                {
                    proven = max(proven ?? 0, chunk.synced)
                }
                inBlock += 1
            }
            block += UInt64(LogFormat.blockBytes)
        }
        return (proven, hasData)
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 8 <= bytes.count {
            if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
            offset += 8
        }
        return bytes[offset...].allSatisfy { $0 == 0 }
    }

    // MARK: Behind damage

    /// Goes on behind damage: at the first offset from `offset` on where a valid chunk that begins a record stands.
    ///
    /// Nil where none follows; else where it stands. For tools that save what can be read.
    package func resume(from offset: UInt64) throws(FileError) -> UInt64? {
        var block = offset - offset % UInt64(LogFormat.blockBytes)
        while block < size {
            let bytes = try bytes(ofBlock: block)
            var inBlock = block < offset ? Int(offset - block) : 0
            while inBlock + LogFormat.chunkHeaderBytes <= bytes.count {
                let place = block + UInt64(inBlock)
                if bytes[inBlock + LogFormat.positionOffset] != 0,
                    let chunk = chunk(in: bytes, at: inBlock, fileOffset: place),
                    chunk.position == .full || chunk.position == .first || chunk.position == .endOfFile
                {
                    self.offset = place
                    endOffset = place
                    verdict = nil
                    return place
                }
                inBlock += 1
            }
            block += UInt64(LogFormat.blockBytes)
        }
        return nil
    }

    // MARK: Chunks

    private struct Chunk {
        let position: LogFormat.Position
        let synced: UInt64
        let payload: UnsafeRawBufferPointer
    }

    private func chunk(at offset: UInt64) throws(FileError) -> Chunk? {
        let block = offset - offset % UInt64(LogFormat.blockBytes)
        guard block < size else { return nil }
        let bytes = try bytes(ofBlock: block)
        let inBlock = Int(offset - block)
        guard inBlock + LogFormat.chunkHeaderBytes <= bytes.count else { return nil }
        if number == 0 {
            number = UInt32(
                littleEndian: bytes.loadUnaligned(fromByteOffset: inBlock + LogFormat.numberOffset, as: UInt32.self)
            )
        }
        return chunk(in: bytes, at: inBlock, fileOffset: offset)
    }

    /// The chunk at `offset` of a block's bytes; nil where none is valid.
    ///
    /// A header of zeros is the chunk `zeroed`.
    private func chunk(in bytes: UnsafeRawBufferPointer, at offset: Int, fileOffset: UInt64) -> Chunk? {
        let header = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + LogFormat.chunkHeaderBytes)])
        let length = Int(
            UInt16(littleEndian: header.loadUnaligned(fromByteOffset: LogFormat.lengthOffset, as: UInt16.self))
        )
        guard let position = LogFormat.Position(rawValue: header[LogFormat.positionOffset]) else { return nil }
        if position == .zeroed {
            guard Self.isZero(header) else { return nil }
            return Chunk(position: .zeroed, synced: 0, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        let payloadStart = offset + LogFormat.chunkHeaderBytes
        guard payloadStart + length <= bytes.count, header[LogFormat.flagsOffset] == 0 else { return nil }
        let found = UInt32(littleEndian: header.loadUnaligned(fromByteOffset: LogFormat.numberOffset, as: UInt32.self))
        guard found == number else { return nil }
        let synced = UInt64(littleEndian: header.loadUnaligned(fromByteOffset: LogFormat.syncedOffset, as: UInt64.self))
        let checked = UnsafeRawBufferPointer(
            rebasing: bytes[(offset + LogFormat.lengthOffset)..<(payloadStart + length)]
        )
        let checksum = UInt32(
            littleEndian: header.loadUnaligned(fromByteOffset: LogFormat.checksumOffset, as: UInt32.self)
        )
        guard CRC32C.checksum(checked) == checksum else { return nil }
        // Nobody can vouch for what comes after. The first chunk is read before the file's start is known.
        guard fileOffset == 0 || synced <= start &+ fileOffset else { return nil }
        if position == .endOfFile && length != 0 { return nil }
        return Chunk(
            position: position,
            synced: synced,
            payload: UnsafeRawBufferPointer(rebasing: bytes[payloadStart..<(payloadStart + length)])
        )
    }

    private func bytes(ofBlock block: UInt64) throws(FileError) -> UnsafeRawBufferPointer {
        let isThere =
            block >= windowStart
            && (block + UInt64(LogFormat.blockBytes) <= windowStart + UInt64(windowCount)
                || (windowCount > 0 && windowStart + UInt64(windowCount) == size && block < size))
        if !isThere {
            windowStart = block
            windowCount = 0
            while windowCount < window.count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: window[windowCount...])
                let count = try file.read(into: rest, at: block + UInt64(windowCount))
                if count == 0 { break }
                windowCount += count
            }
            // The file may grow while it is read; what it had at first is what is judged.
            windowCount = Int(min(UInt64(windowCount), size > block ? size - block : 0))
        }
        let from = Int(block - windowStart)
        return UnsafeRawBufferPointer(rebasing: window[from..<max(from, min(from + LogFormat.blockBytes, windowCount))])
    }

    private func gather(_ bytes: UnsafeRawBufferPointer) {
        if gatheredCount + bytes.count > gathered.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(2 * gathered.count, gatheredCount + bytes.count, 4 * LogFormat.blockBytes),
                alignment: 16
            )
            if gatheredCount > 0 {
                larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: gathered[..<gatheredCount]))
            }
            gathered.deallocate()
            gathered = larger
        }
        guard !bytes.isEmpty else { return }
        UnsafeMutableRawBufferPointer(rebasing: gathered[gatheredCount..<(gatheredCount + bytes.count)]).copyMemory(
            from: bytes
        )
        gatheredCount += bytes.count
    }
}
