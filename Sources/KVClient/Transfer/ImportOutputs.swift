import Foundation

/// The files that an import writes beside the state file.
struct ImportOutputs {
    private static let bufferBytesMax = 1 << 16

    private let options: ImportOptions
    private var acknowledgedHandle: FileHandle?
    private var acknowledgedBuffer: [UInt8] = []
    private var failure: String?
    private var unacknowledgedHandle: FileHandle?

    init(_ options: ImportOptions, appends: Bool) throws(ImportError) {
        self.options = options
        if let path = options.acknowledgedFile { acknowledgedHandle = try Self.open(path, appends: appends) }
    }

    /// Notes that a record is acknowledged; written in batches.
    mutating func acknowledged(_ record: Record) {
        guard acknowledgedHandle != nil else { return }
        acknowledgedBuffer += Array("\(record.line)\t\(escapedText(record.key))\n".utf8)
        if acknowledgedBuffer.count >= Self.bufferBytesMax { writeBuffer() }
    }

    /// Notes that a record is not acknowledged; the file is made when the first one comes.
    mutating func unacknowledged(_ line: String) throws(ImportError) {
        guard let path = options.unacknowledgedFile else { return }
        if unacknowledgedHandle == nil { unacknowledgedHandle = try Self.open(path, appends: false) }
        do {
            try unacknowledgedHandle?.write(contentsOf: Data((line + "\n").utf8))
        } catch {
            throw .cannotWrite(path: path, what: "\(error)")
        }
    }

    func progress(_ acknowledged: UInt64) throws(ImportError) {
        guard let path = options.progressFile else { return }
        do {
            try replaceFile(path, with: Array("\(acknowledged)\n".utf8), synced: false)
        } catch {
            throw .cannotWrite(path: path, what: "\(error)")
        }
    }

    mutating func flush(synced: Bool) throws(ImportError) {
        writeBuffer()
        do {
            if synced { try acknowledgedHandle?.synchronize() }
        } catch {
            failure = "\(error)"
        }
        if let failure { throw .cannotWrite(path: options.acknowledgedFile ?? "", what: failure) }
    }

    /// Removes the state file: nothing is left to resume.
    func removeState() throws(ImportError) {
        guard let path = options.stateFile, FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw .cannotWrite(path: path, what: "\(error)")
        }
    }

    private mutating func writeBuffer() {
        guard failure == nil else { return }
        do {
            try acknowledgedHandle?.write(contentsOf: Data(acknowledgedBuffer))
            acknowledgedBuffer.removeAll(keepingCapacity: true)
        } catch {
            // Reported by the next `flush`, which comes within a second and at the end.
            failure = "\(error)"
        }
    }

    private static func open(_ path: String, appends: Bool) throws(ImportError) -> FileHandle {
        do {
            if !appends || !FileManager.default.fileExists(atPath: path) {
                guard FileManager.default.createFile(atPath: path, contents: nil) else {
                    throw CocoaError(.fileWriteNoPermission)
                }
            }
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            if appends { try handle.seekToEnd() }
            return handle
        } catch {
            throw .cannotWrite(path: path, what: "\(error)")
        }
    }
}
