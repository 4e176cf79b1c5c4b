import KVEnvironment
import Synchronization

/// A moment of a tablet that a checkpoint is to be made of: what was written before it was taken, all of it in tables
/// soon.
package struct CheckpointTicket: Sendable {
    /// The mark at that moment.
    package let mark: TabletMark
    let memtableID: UInt64
}

extension Tablet {
    /// Marks this moment for a checkpoint: seals the active memtable.
    ///
    /// No I/O. Home scheduler only.
    /// - Throws: `memtablesFull`: try again later.
    package func sealForCheckpoint() throws(StorageError) -> CheckpointTicket {
        try seal(room: 0)
        return CheckpointTicket(mark: active.mark, memtableID: active.id - 1)
    }

    /// Makes `directory` a tablet of its own with the content at the ticket's moment: waits for the flush, then links
    /// the tables and writes a manifest.
    ///
    /// `completion` is called on a worker after everything is durable. Whatever was in `directory` is removed first.
    /// Call in the loop turn of `sealForCheckpoint`: later flushes would go into it too.
    package func checkpoint(
        _ ticket: CheckpointTicket,
        into directory: String,
        _ completion: @escaping @Sendable (Result<TabletMark, StorageError>) -> Void
    ) {
        awaitFlushed(through: ticket.memtableID) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let flushed):
                self.options.workers.submit { completion(self.writeCheckpoint(flushed, directory)) }
            }
        }
        scheduleWork()
    }

    /// Both parts: seals and makes the checkpoint.
    ///
    /// Home scheduler only.
    package func checkpoint(
        into directory: String,
        _ completion: @escaping @Sendable (Result<TabletMark, StorageError>) -> Void
    ) {
        do throws(StorageError) {
            checkpoint(try sealForCheckpoint(), into: directory, completion)
        } catch {
            completion(.failure(error))
        }
    }

    private func writeCheckpoint(_ flushed: FlushedState, _ directory: String) -> Result<TabletMark, StorageError> {
        let fileSystem = options.fileSystem
        do throws(StorageError) {
            do throws(FileError) {
                try fileSystem.removeTree(directory)
                try fileSystem.createDirectory(directory)
                for (_, file) in flushed.version.allFiles {
                    try fileSystem.link(file.path, to: directory + "/" + TableFormat.name(file.metadata.number))
                }
            } catch { throw .file(error) }
            var edit = VersionEdit()
            edit.isSnapshot = true
            edit.identity = options.randomness.next()
            edit.added = flushed.version.allFiles.map { VersionEdit.Added(level: $0.level, table: $0.file.metadata) }
            edit.mark = flushed.mark
            edit.lastSequence = flushed.lastSequence
            let number = (flushed.version.allFiles.map(\.file.metadata.number).max() ?? 0) + 1
            edit.nextFileNumber = number + 1
            let writer = try ManifestStore.write(fileSystem, directory, number: number, state: edit)
            do { try writer.close() } catch { throw StorageError(error, directory) }
            do throws(FileError) { try fileSystem.synchronizeDirectory(parentDirectory(of: directory)) } catch {
                throw .file(error)
            }
            return .success(flushed.mark)
        } catch { return .failure(error) }
    }
}
