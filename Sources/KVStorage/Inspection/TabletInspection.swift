package import KVEnvironment

/// One thing that is wrong with a stored file.
package struct InspectionFinding: Equatable, Sendable, CustomStringConvertible {
    /// The file.
    package let file: String
    /// Where the bad bytes start.
    package let offset: UInt64
    /// How many there are.
    package let length: UInt64
    /// What is wrong.
    package let what: String

    /// One line for a person.
    package var description: String { "\(file): bytes \(offset)..<\(offset &+ length): \(what)" }
}

/// What a look at all files of a closed tablet found.
package struct InspectionReport: Equatable, Sendable {
    /// What is wrong; empty where every byte that the manifest vouches for is good.
    package var findings: [InspectionFinding] = []
    /// The mark in the manifest.
    package var mark = TabletMark()
    /// Tables that were read.
    package var tableCount = 0
    /// Data blocks that were read.
    package var blockCount = 0
    /// Entries that were read.
    package var entryCount: UInt64 = 0
}

/// Reads every byte of a tablet that nobody has open, and checks it.
///
/// Changes nothing.
///
/// 1. CURRENT and the MANIFEST it names. 2. Of every live table: header, footer, index, filter, properties; every
///    block's checksum; the order of its entries; that each entry's key is in the filter and within the bounds of
///    index, table and manifest; that the counts are those of the properties. 3. That tables of a level do not
///    overlap.
package enum TabletInspection {
    /// Looks at the tablet in `directory`.
    package static func verify(_ fileSystem: any FileSystem, _ directory: String) -> InspectionReport {
        var report = InspectionReport()
        let contents: ManifestStore.Contents
        do throws(StorageError) {
            contents = try ManifestStore.load(fileSystem, directory)
        } catch {
            report.add(error, directory)
            return report
        }
        report.mark = contents.state.mark
        let environment = TableEnvironment(
            fileSystem: fileSystem,
            directory: directory,
            shared: SharedResources(blockCacheBytes: 0, tablesOpenMax: 8)
        )
        let tables = contents.state.tables.values.sorted { $0.table.number < $1.table.number }
        for table in tables {
            let file = TableFile(table.table, environment)
            do throws(StorageError) { try verify(file, &report) } catch { report.add(error, file.path) }
        }
        let version = Version.empty.applying(
            removed: [],
            added: tables.map { ($0.level, TableFile($0.table, environment)) }
        )
        if let violation = version.invariantViolation() {
            report.findings.append(InspectionFinding(file: directory, offset: 0, length: 0, what: violation))
        }
        return report
    }

    /// Reads every byte of one table and checks it.
    ///
    /// - Throws: `corruption`, `file`.
    static func check(_ file: TableFile) throws(StorageError) {
        var report = InspectionReport()
        try verify(file, &report)
    }

    private static func verify(_ file: TableFile, _ report: inout InspectionReport) throws(StorageError) {
        let reader = try file.openReader()
        report.tableCount += 1
        let metadata = file.metadata
        var last: (key: [UInt8], tag: UInt64)?
        var entryCount: UInt64 = 0
        var cursor = BlockCursor()
        defer { cursor.destroy() }
        for position in 0..<reader.blockCount {
            let handle = try reader.handle(at: position)
            guard let block = try reader.dataBlock(handle, fillCache: false) else { continue }
            report.blockCount += 1
            cursor.open(block.view)
            cursor.seekToFirst()
            while cursor.isValid {
                let key = cursor.key.array
                let tag = cursor.tag
                entryCount += 1
                if let problem = try problem(key, tag, last, position, reader, metadata) {
                    throw reader.corrupt(handle, problem)
                }
                last = (key, tag)
                cursor.next()
            }
            if cursor.isCorrupt { throw reader.corrupt(handle, "entries do not parse") }
        }
        report.entryCount += entryCount
        guard entryCount == reader.properties.entryCount, entryCount == metadata.entryCount else {
            throw .corruption(
                file: file.path,
                offset: 0,
                length: reader.size,
                what:
                    "\(entryCount) entries, properties \(reader.properties.entryCount), manifest \(metadata.entryCount)"
            )
        }
    }

    private static func problem(
        _ key: [UInt8],
        _ tag: UInt64,
        _ last: (key: [UInt8], tag: UInt64)?,
        _ position: Int,
        _ reader: TableReader,
        _ metadata: TableMetadata
    ) throws(StorageError) -> String? {
        if let last {
            let order = compareKeys(last.key, key)
            if order > 0 || (order == 0 && last.tag <= tag) { return "entries out of order" }
        }
        if compareKeys(key, metadata.smallest) < 0 || metadata.endsBefore(key) {
            return "a key outside the table's bounds"
        }
        let sequence = EntryTag.sequence(tag)
        if sequence < metadata.sequenceMin || sequence > metadata.sequenceMax {
            return "sequence \(sequence) out of bounds"
        }
        let found = try key.withView { (view) throws(StorageError) in try reader.indexPosition(notBefore: view) }
        if found != position { return "the index does not lead to a key" }
        if !key.withView({ reader.filterMayContain(hashKey($0)) }) { return "the filter denies a key" }
        return nil
    }
}

extension InspectionReport {
    mutating func add(_ error: StorageError, _ path: String) {
        if case .corruption(let file, let offset, let length, let what) = error {
            findings.append(InspectionFinding(file: file, offset: offset, length: length, what: what))
        } else {
            findings.append(InspectionFinding(file: path, offset: 0, length: 0, what: "\(error)"))
        }
    }
}
