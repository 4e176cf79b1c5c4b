import KVEnvironment

/// A table that was written outside of any tablet, ready to be taken in by one.
package struct FinishedTable: Sendable, Equatable {
    /// Where it lies.
    package let path: String
    /// How many entries it has.
    package var entryCount: UInt64 { metadata.entryCount }
    /// How many bytes it has.
    package var size: UInt64 { metadata.size }
    let metadata: TableMetadata
}

/// Writes a table outside of any tablet, for `Tablet.ingest`: keys in rising order, each once.
///
/// Every entry takes the same sequence: the one after the last of the tablet that is to take it in.
///
/// One thread at a time.
package final class TableFileWriter {
    private let fileSystem: any FileSystem
    private let path: String
    private let file: any File
    private let builder: TableBuilder
    private let sequence: UInt64
    private var lastKey: [UInt8]?

    /// Starts the table `path`, whose directory exists and which does not.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - sequence: `Tablet.lastSequence` of the tablet, plus one.
    ///   - options: Those of the tablet: block size and codec.
    /// - Throws: `file`.
    package init(path: String, sequence: UInt64, options: TabletOptions) throws(StorageError) {
        precondition(sequence > 0 && sequence <= EntryTag.sequenceMax, "sequence \(sequence)")
        fileSystem = options.fileSystem
        self.path = path
        self.sequence = sequence
        do throws(FileError) { file = try options.fileSystem.open(path, .createNew) } catch { throw .file(error) }
        let settings = TableBuilder.Settings(
            number: 0,
            uid: options.randomness.next(),
            createdMilliseconds: options.clock.wallMilliseconds,
            blockBytes: options.blockBytes,
            restartInterval: options.restartInterval,
            codec: options.bottomCodec,
            level: 0,
            reason: .ingest,
            job: 0
        )
        builder = try TableBuilder(file, settings, Compressor())
    }

    /// How large the table is so far, roughly: end it at `TabletOptions.tableBytes`.
    package var estimatedSize: UInt64 { builder.estimatedSize }

    /// Sets a key.
    ///
    /// - Precondition: it is after the last one.
    /// - Throws: `file`.
    package func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StorageError) {
        try builder.add(ByteView(key), EntryTag.make(sequence, EntryKind.put), ByteView(value))
    }

    /// Removes a key that the tablet may hold.
    ///
    /// - Precondition: it is after the last one.
    /// - Throws: `file`.
    package func delete(_ key: UnsafeRawBufferPointer) throws(StorageError) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        try builder.add(ByteView(key), EntryTag.make(sequence, EntryKind.delete), ByteView(nothing))
    }

    /// Ends the table; returns after its bytes are on stable storage (its name is not).
    ///
    /// - Precondition: it has an entry.
    /// - Throws: `file`.
    package func finish() throws(StorageError) -> FinishedTable {
        defer { file.close() }
        return FinishedTable(path: path, metadata: try builder.finish())
    }

    /// Gives up and removes the file.
    package func abandon() {
        file.close()
        // What is left is in the caller's own folder.
        try? fileSystem.remove(path)
    }
}
