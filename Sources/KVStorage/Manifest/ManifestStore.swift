import KVBase
import KVEnvironment
import KVLog

/// The files that say what a tablet consists of: `CURRENT` names the MANIFEST in force, which is a record log of
/// edits that starts with a whole state.
///
/// 1. `load` reads CURRENT (checksummed) and replays the MANIFEST it names. A torn tail is an edit that was never
///    acknowledged.
/// 2. Every open starts a new MANIFEST with the whole state, so that nothing is ever appended behind a tail.
/// 3. `append` returns after the edit is durable. After a failure the writer is done for: the next call starts a new
///    MANIFEST with the whole state and switches CURRENT to it.
///
/// One owner at a time: whoever installs.
// SENDABLE: the tablet's install turn owns it.
final class ManifestStore: @unchecked Sendable {
    static let currentName = "CURRENT"
    /// A MANIFEST this long is followed by a new one.
    static let bytesMax: UInt64 = 4 << 20

    private let fileSystem: any FileSystem
    private let directory: String
    private var writer: LogWriter?
    /// The MANIFEST that is written now.
    private(set) var number: UInt64 = 0

    init(fileSystem: any FileSystem, directory: String) {
        self.fileSystem = fileSystem
        self.directory = directory
    }

    /// Whether the next append must start a new MANIFEST.
    var needsNewFile: Bool { writer.map { $0.fileOffset > Self.bytesMax } ?? true }

    /// Appends an edit and returns after it is durable.
    ///
    /// - Throws: `file`; the writer is dropped: whether the edit is on disk is unknown.
    func append(_ edit: VersionEdit) throws(StorageError) {
        guard let writer else { throw .closed }
        do throws(LogError) {
            try writer.append(.versionEdit, edit.encoded)
            try writer.sync()
            try writer.markSynced()
        } catch {
            self.writer = nil
            throw StorageError(error, writer.path)
        }
    }

    /// Starts MANIFEST `number` with the whole state and makes it the one in force; returns after that is durable.
    ///
    /// The old one is removed.
    func start(number: UInt64, state: VersionEdit) throws(StorageError) {
        precondition(state.isSnapshot, "a MANIFEST starts with the whole state")
        let old = self.number
        writer = nil
        let made = try Self.write(fileSystem, directory, number: number, state: state)
        writer = made
        self.number = number
        if old != 0 {
            // A leftover is removed when the tablet is opened again.
            try? fileSystem.remove(directory + "/" + ManifestFormat.name(old))
        }
    }

    /// Ends the MANIFEST.
    ///
    /// A failure is nobody's business: every edit was durable before, and the next open starts a new one.
    func close() {
        do throws(LogError) { try writer?.close() } catch {}
        writer = nil
    }

    /// Writes a MANIFEST and CURRENT into a directory; all of it is durable at return, but the directory's own name.
    static func write(
        _ fileSystem: any FileSystem,
        _ directory: String,
        number: UInt64,
        state: VersionEdit
    ) throws(StorageError) -> LogWriter {
        let path = directory + "/" + ManifestFormat.name(number)
        do throws(LogError) {
            if fileSystem.exists(path) {
                do throws(FileError) { try fileSystem.remove(path) } catch { throw .file(error) }
            }
            let writer = try LogWriter.create(fileSystem, path: path)
            try writer.append(.versionEdit, state.encoded)
            try writer.sync()
            try writer.markSynced()
            do throws(FileError) {
                try fileSystem.synchronizeDirectory(directory)
                try fileSystem.replace(directory + "/" + currentName, with: CurrentFile.encode(number))
            } catch { throw .file(error) }
            return writer
        } catch { throw StorageError(error, path) }
    }

    /// What a directory's CURRENT and MANIFEST say.
    struct Contents {
        var number: UInt64
        var state: ManifestState
        var verdict: LogVerdict
        var editCount: Int
    }

    /// Reads CURRENT and the MANIFEST it names.
    static func load(_ fileSystem: any FileSystem, _ directory: String) throws(StorageError) -> Contents {
        let currentPath = directory + "/" + currentName
        let bytes: [UInt8]
        do throws(FileError) { bytes = try fileSystem.readAll(currentPath) } catch { throw .file(error) }
        guard let number = CurrentFile.decode(bytes) else {
            throw .corruption(
                file: currentPath,
                offset: 0,
                length: UInt64(bytes.count),
                what: "not the name of a MANIFEST and its checksum"
            )
        }
        let path = directory + "/" + ManifestFormat.name(number)
        let reader: LogSegmentReader
        do throws(FileError) {
            reader = try LogSegmentReader(try fileSystem.open(path, .read))
        } catch {
            if error.reason == .notFound {
                throw .corruption(file: path, offset: 0, length: 0, what: "CURRENT names it and it is missing")
            }
            throw .file(error)
        }
        var state: ManifestState?
        var editCount = 0
        while reader.next() {
            if reader.kind == .header { continue }
            let offset = reader.recordOffset
            func corrupt(_ what: String) -> StorageError {
                .corruption(file: path, offset: offset, length: UInt64(reader.payload.count), what: what)
            }
            guard reader.kind == .versionEdit else { throw corrupt("a record of kind \(reader.kind)") }
            let edit: VersionEdit
            do throws(DecodingError) { edit = try VersionEdit(decoding: reader.payload) } catch {
                throw corrupt("edit: \(error)")
            }
            if edit.isSnapshot { state = ManifestState() }
            guard state != nil else { throw corrupt("the first edit is not a whole state") }
            if let problem = state?.apply(edit) { throw corrupt(problem) }
            editCount += 1
        }
        switch reader.verdict {
        case .cleanEnd, .tornTail: break
        case .corruption(let place, let proven, let damage):
            throw .corruption(
                file: place.path,
                offset: place.offset,
                length: proven > place.position ? proven - place.position : 0,
                what: "\(damage)"
            )
        case .inputOutput(let error): throw .file(error)
        case nil: throw .corruption(file: path, offset: 0, length: 0, what: "the MANIFEST did not read to an end")
        }
        guard let state, let verdict = reader.verdict else {
            throw .corruption(
                file: path,
                offset: 0,
                length: 0,
                what: "no whole state in the MANIFEST that CURRENT names"
            )
        }
        return Contents(number: number, state: state, verdict: verdict, editCount: editCount)
    }
}

extension StorageError {
    init(_ error: LogError, _ path: String) {
        switch error {
        case .file(let error), .poisoned(let error), .segmentUnavailable(let error): self = .file(error)
        case .closed: self = .closed
        case .recordTooLong(let bytes): self = .batchTooLong(bytes: bytes, bytesMax: LogFormat.recordBytesMax)
        case .damaged(let verdict):
            if case .corruption(let place, let proven, let damage) = verdict {
                self = .corruption(
                    file: place.path,
                    offset: place.offset,
                    length: proven > place.position ? proven - place.position : 0,
                    what: "\(damage)"
                )
            } else if case .inputOutput(let error) = verdict {
                self = .file(error)
            } else {
                self = .corruption(file: path, offset: 0, length: 0, what: "\(verdict)")
            }
        case .foreign(let path, _, _): self = .corruption(file: path, offset: 0, length: 0, what: "\(error)")
        case .unsupportedVersion(let path, _): self = .unsupported(file: path, what: "\(error)")
        }
    }
}

/// `CURRENT`: one line of text, the MANIFEST's name and the checksum of that name in hexadecimal.
enum CurrentFile {
    static func encode(_ number: UInt64) -> [UInt8] {
        let name = ManifestFormat.name(number)
        return Array("\(name) \(hexadecimal(UInt64(CRC32C.checksum(Array(name.utf8)))))\n".utf8)
    }

    /// The MANIFEST's number; nil where the bytes are not exactly what `encode` makes.
    static func decode(_ bytes: [UInt8]) -> UInt64? {
        let prefix = Array("MANIFEST-".utf8)
        guard bytes.count < 64, bytes.starts(with: prefix) else { return nil }
        let digits = bytes[prefix.count...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard let number = UInt64(String(decoding: digits, as: UTF8.self)), encode(number) == bytes else { return nil }
        return number
    }
}

/// The state that a MANIFEST's edits add up to.
struct ManifestState {
    var tables: [UInt64: VersionEdit.Added] = [:]
    var mark = TabletMark()
    var lastSequence: UInt64 = 0
    var nextFileNumber: UInt64 = 1
    var logNumber: UInt64 = 0
    var identity: UInt64 = 0

    /// Takes an edit in.
    ///
    /// Returns what is wrong with it.
    mutating func apply(_ edit: VersionEdit) -> String? {
        for number in edit.removed where tables.removeValue(forKey: number) == nil {
            return "table \(number) is removed and was not there"
        }
        for added in edit.added {
            guard tables.updateValue(added, forKey: added.table.number) == nil else {
                return "table \(added.table.number) is added twice"
            }
        }
        let numbers = edit.added.map(\.table.number) + [edit.nextFileNumber ?? 0, edit.logNumber ?? 0]
        if let number = numbers.max(), number > ManifestFormat.fileNumberMax { return "file number \(number)" }
        if let sequence = edit.lastSequence, sequence > EntryTag.sequenceMax { return "sequence \(sequence)" }
        if let mark = edit.mark { self.mark = mark }
        if let lastSequence = edit.lastSequence { self.lastSequence = max(self.lastSequence, lastSequence) }
        if let nextFileNumber = edit.nextFileNumber { self.nextFileNumber = max(self.nextFileNumber, nextFileNumber) }
        if let logNumber = edit.logNumber { self.logNumber = max(self.logNumber, logNumber) }
        if let identity = edit.identity { self.identity = identity }
        return nil
    }
}
