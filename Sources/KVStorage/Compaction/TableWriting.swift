import KVEnvironment

/// Rewrites a merge into new tables: what flush and compaction share.
///
/// Outputs are cut only between keys, so that all versions of a key stay in one table, and range deletions are
/// clipped to the output they fall into: the outputs are disjoint.
struct TableWriting {
    let environment: TableEnvironment
    let options: TabletOptions
    let level: Int
    let reason: TableReason
    let job: UInt64
    let codec: BlockCodec
    /// A table is ended once it is this large; nil: never.
    let tableBytesMax: UInt64?
    let grandparents: [TableFile]
    let makeNumber: () -> UInt64
    /// Whether to stop early (the tablet closes).
    let isCancelled: () -> Bool

    /// Writes the tables and synchronizes each, then the directory.
    ///
    /// On failure the files made are removed.
    func run(_ merge: MergeCursor, _ rules: DropRules) throws(StorageError) -> [TableMetadata] {
        var made: [UInt64] = []
        do throws(StorageError) {
            let tables = try write(merge, rules, &made)
            if !tables.isEmpty {
                do throws(FileError) { try environment.fileSystem.synchronizeDirectory(environment.directory) } catch {
                    throw .file(error)
                }
            }
            return tables
        } catch {
            for number in made { environment.removeTable(number) }
            throw error
        }
    }

    private func write(
        _ merge: MergeCursor,
        _ rules: DropRules,
        _ made: inout [UInt64]
    )
        throws(StorageError) -> [TableMetadata]
    {
        var rules = rules
        var ranges = rules.keptRanges()[...]
        let compressor = Compressor()
        var tables: [TableMetadata] = []
        var builder: TableBuilder?
        var grandparent = 0
        var grandparentBytes: UInt64 = 0
        var sinceCheck = 0
        try merge.seekToFirst()
        while merge.isValid {
            let key = merge.key
            var isNewKey = false
            let isKept = rules.keeps(key, merge.tag, isNewKey: &isNewKey)
            if isKept {
                if isNewKey || builder == nil {
                    while grandparent < grandparents.count, grandparents[grandparent].metadata.endsBefore(key) {
                        grandparentBytes += grandparents[grandparent].metadata.size
                        grandparent += 1
                    }
                    if let current = builder, let tableBytesMax,
                        isNewKey,
                        current.estimatedSize >= tableBytesMax || grandparentBytes > 10 * tableBytesMax
                    {
                        clip(&ranges, before: key.array, into: current)
                        tables.append(try current.finish())
                        builder = nil
                    }
                }
                if builder == nil {
                    builder = try makeBuilder(compressor, &made)
                    grandparentBytes = 0
                }
                try builder?.add(key, merge.tag, merge.value)
            }
            sinceCheck += 1
            if sinceCheck == 1024 {
                sinceCheck = 0
                if isCancelled() { throw .closed }
            }
            try merge.next()
        }
        if !ranges.isEmpty {
            if builder == nil { builder = try makeBuilder(compressor, &made) }
            for range in ranges { builder?.addRange(range) }
        }
        if let builder { tables.append(try builder.finish()) }
        return tables
    }

    /// Moves the range deletions before `key` into the table that ends there, cutting the one that spans it.
    private func clip(_ ranges: inout ArraySlice<RangeTombstone>, before key: [UInt8], into builder: TableBuilder) {
        var rest: [RangeTombstone] = []
        for range in ranges {
            if compareKeys(range.end, key) <= 0 {
                builder.addRange(range)
            } else if compareKeys(range.start, key) < 0 {
                builder.addRange(RangeTombstone(start: range.start, end: key, sequence: range.sequence))
                rest.append(RangeTombstone(start: key, end: range.end, sequence: range.sequence))
            } else {
                rest.append(range)
            }
        }
        ranges = rest[...]
    }

    private func makeBuilder(_ compressor: Compressor, _ made: inout [UInt64]) throws(StorageError) -> TableBuilder {
        let number = makeNumber()
        let path = environment.directory + "/" + TableFormat.name(number)
        let file: any File
        do throws(FileError) {
            file = try environment.fileSystem.open(path, .createNew)
        } catch { throw .file(error) }
        made.append(number)
        let settings = TableBuilder.Settings(
            number: number,
            uid: options.randomness.next(),
            createdMilliseconds: options.clock.wallMilliseconds,
            blockBytes: options.blockBytes,
            restartInterval: options.restartInterval,
            codec: codec,
            level: level,
            reason: reason,
            job: job
        )
        return try TableBuilder(file, settings, compressor)
    }
}

extension TableEnvironment {
    /// Removes a table's file.
    ///
    /// A failure is nobody's business: the next open removes what the manifest does not name.
    func removeTable(_ number: UInt64) {
        try? fileSystem.remove(directory + "/" + TableFormat.name(number))
    }
}
