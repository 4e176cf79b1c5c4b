import KVBase
package import KVEnvironment
import KVLog

/// A group's directory: its manifest, a record log whose last whole record is the group's state, and its tablets beside it.
///
///     groups/<group>/MANIFEST
///     groups/<group>/<shard>-<epoch>-<number>/
///
/// Opening writes the manifest anew, so a torn end of the last process never stands before new records, and removes
/// directories that it does not name.
///
/// SENDABLE: touched on the home scheduler, but for the manifest's file, which one worker at a time writes.
package final class GroupStore: @unchecked Sendable {
    /// Why a group's directory cannot be opened.
    package enum Failure: Error, CustomStringConvertible {
        /// The manifest is damaged; the text says where.
        case damaged(String)
        /// A file operation failed.
        case file(FileError)

        /// One line for a person.
        package var description: String {
            switch self {
            case .damaged(let text): "group manifest \(text); run 'walreplay verify' on the data directory"
            case .file(let error): "\(error)"
            }
        }
    }

    /// The group's directory.
    package let directory: String
    private let durable: DurableState<GroupManifestState>
    private let file: ManifestFile

    /// The state as it was last changed.
    package var state: GroupManifestState { durable.state }

    /// The path of something in the group's directory.
    package func path(_ name: String) -> String { directory + "/" + name }

    /// Opens or makes the directory of a group; `initial` says what a new one starts with.
    ///
    /// - Throws: `damaged`, `file`.
    package static func open(
        _ directory: String,
        fileSystem: any FileSystem,
        workers: any WorkerPool,
        home: any Scheduler,
        initial: () -> GroupManifestState
    ) throws(Failure) -> GroupStore {
        do {
            try fileSystem.createDirectory(directory)
            let path = directory + "/MANIFEST"
            let isNew = !fileSystem.exists(path)
            // The manifest is durable before the first tablet is made: tablets without it are a loss, not left-overs.
            if isNew, let name = try fileSystem.list(directory).first(where: { !$0.hasPrefix("MANIFEST") }) {
                throw Failure.damaged("\(path) is missing although \(directory)/\(name) is there")
            }
            let state = isNew ? initial() : try read(path, fileSystem)
            let file = ManifestFile(fileSystem: fileSystem, directory: directory)
            try file.rewrite(state)
            // Also where it is not new: the process that made it may have ended before this.
            try fileSystem.synchronizeDirectory(parentDirectory(of: directory))
            try removeStrays(directory, state, fileSystem)
            let durable = DurableState(state, workers: workers, home: home) { try file.append($0) }
            return GroupStore(directory, durable, file)
        } catch let failure as Failure {
            throw failure
        } catch let error as FileError {
            throw .file(error)
        } catch {
            throw .damaged("\(directory)/MANIFEST: \(error)")
        }
    }

    /// Writes the manifest of a group whose tablets are there or come before anybody opens it; durable when this returns.
    /// - Throws: `FileError` or `LogError`.
    package static func write(
        _ state: GroupManifestState,
        into directory: String,
        _ fileSystem: any FileSystem
    ) throws {
        try fileSystem.createDirectory(directory)
        let file = ManifestFile(fileSystem: fileSystem, directory: directory)
        try file.rewrite(state)
        file.close()
        try fileSystem.synchronizeDirectory(parentDirectory(of: directory))
    }

    private init(_ directory: String, _ durable: DurableState<GroupManifestState>, _ file: ManifestFile) {
        self.directory = directory
        self.durable = durable
        self.file = file
    }

    /// Changes the state in one synced edit.
    ///
    /// `completion` is called on the home scheduler.
    package func change(
        _ body: (inout GroupManifestState) -> Void,
        completion: @escaping @Sendable ((any Error)?) -> Void
    ) {
        durable.change(body, completion: completion)
    }

    /// Ends the manifest cleanly once every change so far is written, so that damage to any byte of it shows.
    ///
    /// `completion` is called on the home scheduler. A failure is nobody's business: what was changed is durable, and the next opening
    /// writes the file anew.
    package func close(completion: @escaping @Sendable () -> Void) {
        durable.finish({ [file] in file.close() }, completion: completion)
    }

    private static func read(_ path: String, _ fileSystem: any FileSystem) throws -> GroupManifestState {
        var state: GroupManifestState?
        var wrong: DecodingError?
        let contents = try LogReader.read(fileSystem, path: path) { record in
            guard record.kind == .groupEdit else { return }
            do throws(DecodingError) { state = try GroupManifestState(record.payload) } catch { wrong = error }
        }
        if let wrong { throw Failure.damaged("\(path): \(wrong)") }
        guard contents.verdict.isUsable else { throw Failure.damaged("\(contents.verdict)") }
        guard let state else { throw Failure.damaged("\(path) holds no state") }
        return state
    }

    private static func removeStrays(
        _ directory: String,
        _ state: GroupManifestState,
        _ fileSystem: any FileSystem
    ) throws(FileError) {
        let live = Set(state.tablets.map(\.directory))
        for name in try fileSystem.list(directory) where !name.hasPrefix("MANIFEST") && !live.contains(name) {
            try fileSystem.removeTree(directory + "/" + name)
        }
    }
}

/// The manifest's file.
///
/// One thread at a time.
///
/// SENDABLE: `DurableState` calls it from one job at a time.
private final class ManifestFile: @unchecked Sendable {
    private let fileSystem: any FileSystem
    private let directory: String
    private var writer: LogWriter?
    private var recordCount = 0

    /// After how many records the file is written anew.
    private static let recordsMax = 4_096

    init(fileSystem: any FileSystem, directory: String) {
        self.fileSystem = fileSystem
        self.directory = directory
    }

    /// Adds a record and syncs; after a failure the next call writes the file anew.
    func append(_ state: GroupManifestState) throws {
        guard let writer, recordCount < Self.recordsMax else { return try rewrite(state) }
        do {
            try writer.append(.groupEdit, state.encoded)
            try writer.sync()
            // From now on damage to this record is not taken for a torn tail.
            try writer.markSynced()
            recordCount += 1
        } catch {
            self.writer = nil
            throw error
        }
    }

    /// Ends the file; what failed before ended it already.
    func close() {
        do throws(LogError) { try writer?.close() } catch {}
        writer = nil
    }

    /// Writes a new file with one record and puts it in the old one's place.
    func rewrite(_ state: GroupManifestState) throws {
        writer = nil
        let path = directory + "/MANIFEST"
        let temporary = path + ".new"
        if fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        let fresh = try LogWriter.create(fileSystem, path: temporary)
        try fresh.append(.groupEdit, state.encoded)
        try fresh.sync()
        try fresh.markSynced()
        try fileSystem.rename(temporary, to: path)
        try fileSystem.synchronizeDirectory(directory)
        writer = fresh
        recordCount = 1
    }
}
