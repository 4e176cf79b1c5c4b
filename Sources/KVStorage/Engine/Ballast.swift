package import KVEnvironment
import Synchronization

/// A file that takes room on the disk for nothing, so that there is some to give back when a flush meets a full disk:
/// what is in memory then still gets into tables, and the log can be cut.
///
/// 1. It is made when there is plenty of room, and again after it was given back.
/// 2. Whoever meets the full disk gives it back and tries again at once.
/// 3. Tablets that met the full disk stay in that state, and refuse proposals, until it is made again: so writes resume
///    only where the disk has room to spare.
///
/// Any thread that may block.
package final class Ballast: Sendable {
    /// How many bytes it takes.
    package let bytes: UInt64
    private let fileSystem: any FileSystem
    private let path: String
    private let state: Mutex<State>

    private enum State {
        /// It never was there: the disk is small, or nobody made it yet.
        case absent
        case present
        /// It was given back.
        case released
        /// Somebody makes it or gives it back.
        case changing
    }

    /// A ballast in the file `path`; not there yet, unless an earlier life left it.
    package init(_ fileSystem: any FileSystem, path: String, bytes: UInt64) {
        self.fileSystem = fileSystem
        self.path = path
        self.bytes = bytes
        // Where its size cannot be told it is not there.
        let size = (try? fileSystem.size(path)) ?? 0
        state = Mutex(size >= bytes ? .present : .absent)
    }

    /// Whether it takes its room now.
    package var isPresent: Bool { state.withLock { $0 == .present } }

    /// Whether it was given back and not made again: the disk is short of room.
    package var isReleased: Bool { state.withLock { $0 == .released || $0 == .changing } }

    /// Gives its room back; false where there is none to give.
    func release() -> Bool {
        guard begin(.present) else { return false }
        do throws(FileError) { try fileSystem.remove(path) } catch {
            state.withLock { $0 = .present }
            return false
        }
        state.withLock { $0 = .released }
        return true
    }

    /// Makes it where it is not there and the disk has half as much again to spare.
    ///
    /// - Returns: whether it is there.
    func restore() -> Bool {
        let before: State
        if begin(.absent) { before = .absent } else if begin(.released) { before = .released } else { return isPresent }
        // A failure is no news: the disk is full, as it was.
        let isMade = (try? make()) ?? false
        state.withLock { $0 = isMade ? .present : before }
        return isMade
    }

    /// Takes the turn to change the file where it is as `expected`.
    private func begin(_ expected: State) -> Bool {
        state.withLock { state in
            guard state == expected else { return false }
            state = .changing
            return true
        }
    }

    private func make() throws(FileError) -> Bool {
        guard try fileSystem.freeSpace(parentDirectory(of: path)) >= bytes + bytes / 2 else { return false }
        if fileSystem.exists(path) { try fileSystem.remove(path) }
        let file = try fileSystem.open(path, .createNew)
        defer { file.close() }
        do throws(FileError) {
            try file.reserve(bytes)
        } catch {
            try fileSystem.remove(path)
            throw error
        }
        return true
    }
}
