package import KVEnvironment
import Synchronization

/// Makes the next segment ahead of its use: a file full of zeros, synced, name and all.
///
/// A sync of a write into such a file costs a third less than into one that grows, and want of space shows here, before anything is
/// appended. One file at a time; any thread.
package final class SegmentPreparer: Sendable {
    private let fileSystem: any FileSystem
    private let directory: String
    private let segmentBytes: UInt64
    private let pool: (any WorkerPool)?
    private let onChange: (@Sendable (FileError?) -> Void)?
    private let state = Mutex(State())

    private struct State {
        var ready: (any File)?
        var isReadyFilled = false
        var isUnderWay = false
        var failure: FileError?
        var madeCount = 0
        var isStopped = false
    }

    /// A preparer for segments of `segmentBytes` in `directory`; without a pool it works inside `prepare`.
    ///
    /// `onChange` hears, on whatever thread, why a file could not be made, and nil once one is ready.
    package init(
        _ fileSystem: any FileSystem,
        directory: String,
        segmentBytes: UInt64,
        pool: (any WorkerPool)? = nil,
        onChange: (@Sendable (FileError?) -> Void)? = nil
    ) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.segmentBytes = segmentBytes
        self.pool = pool
        self.onChange = onChange
    }

    /// Why the last attempt failed; nil where it did not.
    package var failure: FileError? { state.withLock { $0.failure } }

    /// Whether a file is being made.
    package var isUnderWay: Bool { state.withLock { $0.isUnderWay } }

    /// Whether a file is ready.
    package var isReady: Bool { state.withLock { $0.ready != nil } }

    /// Starts to make a file unless one is ready or under way.
    ///
    /// After a failure it tries again. Where it is not to be `filled`, the file only takes its room on the disk.
    package func prepare(filled isFilled: Bool = true) {
        let number: Int? = state.withLock { state in
            guard !state.isStopped, state.ready == nil, !state.isUnderWay else { return nil }
            state.isUnderWay = true
            state.madeCount += 1
            return state.madeCount
        }
        guard let number else { return }
        guard let pool else { return make(number, isFilled) }
        pool.submit { [self] in make(number, isFilled) }
    }

    /// Gives the ready file away, under a temporary name, and whether it is filled; nil where none is ready.
    package func take() -> (file: any File, isFilled: Bool)? {
        state.withLock { state in
            guard let file = state.ready else { return nil }
            state.ready = nil
            return (file, state.isReadyFilled)
        }
    }

    /// Makes no more, and removes a file that is ready.
    package func stop() {
        let file = state.withLock { state in
            state.isStopped = true
            let file = state.ready
            state.ready = nil
            return file
        }
        guard let file else { return }
        file.close()
        // What is left is removed when the log is opened again.
        try? fileSystem.remove(file.path)
    }

    private func make(_ number: Int, _ isFilled: Bool) {
        let path = directory + "/prepared-\(number)" + LogFormat.temporarySuffix
        do {
            let file = try isFilled ? filled(path) : reserved(path)
            let isWanted = state.withLock { state in
                state.isUnderWay = false
                state.failure = nil
                if !state.isStopped { state.ready = file }
                state.isReadyFilled = isFilled
                return !state.isStopped
            }
            // Stopped meanwhile: what is left is removed when the log is opened again.
            if !isWanted { try? fileSystem.remove(path) }
            onChange?(nil)
        } catch {
            // Room is what may be short: give back what was taken. What is left is removed when the log is opened again.
            try? fileSystem.remove(path)
            state.withLock { state in
                state.isUnderWay = false
                state.failure = error
            }
            onChange?(error)
        }
    }

    /// A file with all its room on the disk and nothing written.
    private func reserved(_ path: String) throws(FileError) -> any File {
        if fileSystem.exists(path) { try fileSystem.remove(path) }
        let file = try fileSystem.open(path, .createNew)
        try file.reserve(segmentBytes)
        try file.synchronize()
        try fileSystem.synchronizeDirectory(directory)
        return file
    }

    private func filled(_ path: String) throws(FileError) -> any File {
        if fileSystem.exists(path) { try fileSystem.remove(path) }
        let file = try fileSystem.open(path, .createNew)
        // Nobody reads the zeros.
        file.bypassCache()
        let zeros = [UInt8](repeating: 0, count: Int(min(segmentBytes, 1 << 20)))
        var offset: UInt64 = 0
        while offset < segmentBytes {
            let count = Int(min(UInt64(zeros.count), segmentBytes - offset))
            try zeros.withUnsafeBufferPointer { (bytes) throws(FileError) in
                try file.write(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[..<count])), at: offset)
            }
            offset += UInt64(count)
        }
        // The zeros may reach through the end of a block. This also ends the way around the cache: not every log goes it.
        try file.truncate(to: segmentBytes)
        try file.synchronize()
        try fileSystem.synchronizeDirectory(directory)
        return file
    }
}
