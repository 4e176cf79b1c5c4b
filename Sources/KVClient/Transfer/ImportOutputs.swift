import Dispatch
import Foundation
import Synchronization

/// The files that an import writes: what is acknowledged, what is not, how far it is, and the state to resume from.
///
/// They are written on a queue of their own, in the order of the calls, since a sync may take as long as many round trips to
/// the cluster and would else show up as a gap between acknowledgements. Failures surface at the next `check`.
///
/// SENDABLE: `buffer` belongs to the import's thread, the handles to the queue; the rest is atomic or
/// under a lock.
final class ImportOutputs: @unchecked Sendable {
    private static let chunkBytesMax = 1 << 16
    /// A disk slower than the cluster holds the import up here, at 4 MiB.
    private static let chunksWaitingMax = 64

    private let options: ImportOptions
    private let queue = DispatchQueue(label: "import-outputs")
    private let room = DispatchSemaphore(value: ImportOutputs.chunksWaitingMax)
    private let isProgressWaiting = Atomic<Bool>(false)
    private let isJournalWaiting = Atomic<Bool>(false)
    private let failure = Mutex<ImportError?>(nil)
    private var buffer: [UInt8] = []
    private var acknowledgedHandle: FileHandle?
    private var unacknowledgedHandle: FileHandle?

    init(_ options: ImportOptions, appends: Bool) throws(ImportError) {
        self.options = options
        if let path = options.acknowledgedFile { acknowledgedHandle = try Self.open(path, appends: appends) }
    }

    /// Notes that a record is acknowledged.
    func acknowledged(_ record: Record) {
        guard options.acknowledgedFile != nil else { return }
        buffer += Array("\(record.line)\t\(escapedText(record.key))\n".utf8)
        if buffer.count >= Self.chunkBytesMax { passOnBuffer() }
    }

    /// Notes that a record is not acknowledged; the file is made when the first one comes.
    func unacknowledged(_ line: String) {
        guard let path = options.unacknowledgedFile else { return }
        post(path) { outputs in
            if outputs.unacknowledgedHandle == nil {
                outputs.unacknowledgedHandle = try Self.open(path, appends: false)
            }
            try outputs.unacknowledgedHandle?.write(contentsOf: Data((line + "\n").utf8))
        }
    }

    /// Replaces the progress file; passed over where the one before still waits for the disk.
    func progress(_ acknowledged: UInt64) {
        guard let path = options.progressFile, !isProgressWaiting.exchange(true, ordering: .acquiringAndReleasing)
        else {
            return
        }
        post(path) { outputs in
            defer { outputs.isProgressWaiting.store(false, ordering: .releasing) }
            try replaceFile(path, with: Array("\(acknowledged)\n".utf8), synced: false)
        }
    }

    /// Replaces the state file, synced; passed over where the one before still waits for the disk.
    func journal(_ journal: ImportJournal) {
        guard let path = options.stateFile, !isJournalWaiting.exchange(true, ordering: .acquiringAndReleasing) else {
            return
        }
        // The state may never claim more than the list of acknowledged records holds.
        passOnBuffer()
        post(path) { outputs in
            defer { outputs.isJournalWaiting.store(false, ordering: .releasing) }
            try outputs.acknowledgedHandle?.synchronize()
            try journal.write(path)
        }
    }

    /// Throws what a write failed with.
    func check() throws(ImportError) {
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// Waits until everything is written and synced, with the last figures; a state of nil removes the state file.
    func finish(acknowledged: UInt64, state: ImportJournal?) throws(ImportError) {
        passOnBuffer()
        queue.sync {}
        progress(acknowledged)
        if let state {
            journal(state)
        } else if let path = options.stateFile {
            post(path) { _ in
                if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
            }
        }
        if let path = options.acknowledgedFile { post(path) { try $0.acknowledgedHandle?.synchronize() } }
        queue.sync {}
        try check()
    }

    private func passOnBuffer() {
        guard let path = options.acknowledgedFile, !buffer.isEmpty else { return }
        let chunk = Data(buffer)
        buffer.removeAll(keepingCapacity: true)
        room.wait()
        post(path) { outputs in
            defer { outputs.room.signal() }
            try outputs.acknowledgedHandle?.write(contentsOf: chunk)
        }
    }

    private func post(_ path: String, _ work: @escaping @Sendable (ImportOutputs) throws -> Void) {
        queue.async {
            do {
                try work(self)
            } catch {
                let known = error as? ImportError ?? .cannotWrite(path: path, what: "\(error)")
                self.failure.withLock { $0 = $0 ?? known }
            }
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
