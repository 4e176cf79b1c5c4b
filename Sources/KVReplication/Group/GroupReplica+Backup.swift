package import KVBase
package import KVEnvironment
import KVRaft
package import KVStorage

/// A group's tablets at one index, in a folder beside them, for a backup to read.
package struct BackupCheckpoint: Sendable {
    /// A tablet of it.
    package struct Part: Sendable {
        /// The tablet that it was made of.
        package let name: GroupManifestState.TabletName
        /// Its mark at the cut.
        package let mark: TabletMark
        /// Its files and their sizes.
        package let files: [(name: String, size: UInt64)]
    }

    /// Where it is; each tablet under its shard's number.
    package let folder: String
    /// The index.
    package let index: LogIndex
    /// The term of the entry there.
    package let term: Term
    /// The tablets.
    package let parts: [Part]
}

extension GroupReplica {
    /// Cuts all tablets at the applied index, in this turn of the loop, into a folder of their own.
    ///
    /// `completion` is called on the home scheduler. The caller removes the folder; one that stays is removed when the group is opened.
    package func backup(
        named name: String,
        on workers: any WorkerPool,
        _ completion: @escaping @Sendable (Result<BackupCheckpoint, any Error>) -> Void
    ) {
        let marks = Dictionary(uniqueKeysWithValues: tablets.map { ($0.shard, ($0.name, $0.tablet.mark)) })
        checkpoint(named: name, on: workers) { result in
            completion(
                result.map { checkpoint in
                    BackupCheckpoint(
                        folder: checkpoint.folder,
                        index: checkpoint.manifest.index,
                        term: checkpoint.manifest.term,
                        parts: checkpoint.manifest.parts.compactMap { part in
                            marks[part.shard].map { name, mark in
                                BackupCheckpoint.Part(
                                    name: name,
                                    mark: mark,
                                    files: part.files.map { ($0.name, $0.size) }
                                )
                            }
                        }
                    )
                }
            )
        }
    }

    /// Reads applied entries from `index` on, as a record of the log holds them, and says which is the last of them.
    ///
    /// `completion` is called on the home scheduler.
    package func readLog(
        from index: LogIndex,
        bytesMax: Int,
        _ completion: @escaping @Sendable (Result<(bytes: [UInt8], last: LogIndex), LogReadError>) -> Void
    ) {
        let end = appliedIndex
        guard index <= end else { return completion(.success(([], end))) }
        let id = id
        host.log.read(id, from: index, to: end + 1, bytesMax: bytesMax) { result in
            completion(result.map { (NodeLogFormat.encodeRun(id, $0), $0.last?.index ?? index - 1) })
        }
    }
}
