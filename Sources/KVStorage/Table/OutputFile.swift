import KVEnvironment

/// A file written front to back, in pieces of 256 KiB.
final class OutputFile {
    static let pieceBytes = 256 * 1024

    let file: any File
    private let pending = GrowBuffer(capacity: OutputFile.pieceBytes + 64 * 1024)
    private var written: UInt64 = 0

    init(_ file: any File) { self.file = file }

    /// The bytes appended so far.
    var offset: UInt64 { written + UInt64(pending.count) }

    func append(_ bytes: ByteView) throws(StorageError) {
        pending.append(bytes)
        if pending.count >= Self.pieceBytes { try writePending() }
    }

    func append(_ bytes: [UInt8]) throws(StorageError) {
        bytes.withView { pending.append($0) }
        if pending.count >= Self.pieceBytes { try writePending() }
    }

    /// Returns after everything is on stable storage.
    func synchronize() throws(StorageError) {
        try writePending()
        do throws(FileError) { try file.synchronize() } catch { throw .file(error) }
    }

    private func writePending() throws(StorageError) {
        guard pending.count > 0 else { return }
        do throws(FileError) { try file.write(pending.view.buffer, at: written) } catch { throw .file(error) }
        written += UInt64(pending.count)
        pending.removeAll()
    }
}
