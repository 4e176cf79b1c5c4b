import KVBase
package import KVEnvironment
import KVLog

extension Tablet {
    /// Makes an empty tablet in `options.directory`, which holds none yet.
    ///
    /// Durable at return. Call from a storage thread.
    /// - Throws: `file`, also where there is a tablet already.
    package static func create(_ options: TabletOptions, mark: TabletMark = TabletMark()) throws(StorageError) -> Tablet
    {
        guard !exists(options.fileSystem, options.directory) else {
            throw .file(FileError(.create, path: options.directory, reason: .exists))
        }
        var state = ManifestState()
        state.mark = mark
        state.nextFileNumber = 2
        state.identity = options.randomness.next()
        do throws(FileError) {
            try options.fileSystem.createDirectory(options.directory)
            try options.fileSystem.synchronizeDirectory(parentDirectory(of: options.directory))
        } catch { throw .file(error) }
        return try start(options, state, manifestNumber: 1, oldManifest: nil)
    }

    /// Opens the tablet in `options.directory`: afterwards `mark` says exactly which prefix of history it holds.
    ///
    /// Files that the manifest does not name are removed. Call from a storage thread.
    /// - Throws: `file`, `corruption`, `unsupported`.
    package static func open(_ options: TabletOptions) throws(StorageError) -> Tablet {
        let contents = try ManifestStore.load(options.fileSystem, options.directory)
        var state = contents.state
        let names: [String]
        do throws(FileError) { names = try options.fileSystem.list(options.directory) } catch { throw .file(error) }
        // A number that was ever used is never used again, whatever the manifest knew.
        for name in names {
            if let number = fileNumber(name) { state.nextFileNumber = max(state.nextFileNumber, number + 1) }
        }
        let number = state.nextFileNumber
        state.nextFileNumber += 1
        return try start(options, state, manifestNumber: number, oldManifest: contents.number)
    }

    /// Whether `directory` holds a tablet.
    package static func exists(_ fileSystem: any FileSystem, _ directory: String) -> Bool {
        fileSystem.exists(directory + "/" + ManifestStore.currentName)
    }

    private static func start(
        _ options: TabletOptions,
        _ contents: ManifestState,
        manifestNumber: UInt64,
        oldManifest: UInt64?
    ) throws(StorageError) -> Tablet {
        let environment = TableEnvironment(
            fileSystem: options.fileSystem,
            directory: options.directory,
            shared: options.shared
        )
        let tables = contents.tables.values.map { (level: $0.level, file: TableFile($0.table, environment)) }
        let version = Version.empty.applying(removed: [], added: tables)
        if let violation = version.invariantViolation() {
            throw .corruption(
                file: options.directory + "/" + ManifestStore.currentName,
                offset: 0,
                length: 0,
                what: violation
            )
        }
        for (_, file) in version.allFiles {
            let size: UInt64
            do throws(FileError) { size = try options.fileSystem.size(file.path) } catch {
                guard error.reason == .notFound else { throw .file(error) }
                throw .corruption(file: file.path, offset: 0, length: file.metadata.size, what: "the file is missing")
            }
            guard size == file.metadata.size else {
                throw .corruption(
                    file: file.path,
                    offset: 0,
                    length: size,
                    what: "\(size) bytes, the manifest says \(file.metadata.size)"
                )
            }
        }
        let active = Memtable(
            id: 1,
            capacity: options.memtableCapacity,
            mark: contents.mark,
            lastSequence: contents.lastSequence,
            shared: options.shared
        )
        let state = BackgroundState(
            version: version,
            active: active,
            durableMark: contents.mark,
            durableSequence: contents.lastSequence,
            nextFileNumber: contents.nextFileNumber,
            identity: contents.identity,
            logNumber: contents.logNumber
        )
        let manifest = ManifestStore(fileSystem: options.fileSystem, directory: options.directory)
        try manifest.start(number: manifestNumber, state: state.snapshotEdit(with: nil))
        removeUnlisted(options, version, manifestNumber)
        let tablet = Tablet(
            options: options,
            environment: environment,
            manifest: manifest,
            state: state,
            active: active,
            lastSequence: contents.lastSequence
        )
        if case .log(let synchronizes) = options.durability {
            try tablet.openJournal(synchronizes: synchronizes)
        }
        tablet.background.withLock { $0.isRecovering = false }
        tablet.scheduleWork()
        return tablet
    }

    /// Removes what the manifest does not name: outputs of jobs that a crash cut short, old MANIFESTs.
    ///
    /// A failure is nobody's business: the next open tries again.
    private static func removeUnlisted(_ options: TabletOptions, _ version: Version, _ manifestNumber: UInt64) {
        let live = Set(version.allFiles.map { TableFormat.name($0.file.metadata.number) })
        guard let names = try? options.fileSystem.list(options.directory) else { return }
        for name in names where !live.contains(name) {
            let isTable = name.hasSuffix(".sst")
            let isManifest = name.hasPrefix("MANIFEST-") && name != ManifestFormat.name(manifestNumber)
            if isTable || isManifest || name.hasSuffix(".new") {
                try? options.fileSystem.remove(options.directory + "/" + name)
            }
        }
    }

    private static func fileNumber(_ name: String) -> UInt64? {
        let number =
            name.hasSuffix(".sst")
            ? UInt64(name.dropLast(4)) : name.hasPrefix("MANIFEST-") ? UInt64(name.dropFirst("MANIFEST-".count)) : nil
        return number.flatMap { $0 <= ManifestFormat.fileNumberMax ? $0 : nil }
    }
}
