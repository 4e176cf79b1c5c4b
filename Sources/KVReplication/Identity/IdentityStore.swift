package import KVBase
package import KVEnvironment

/// Keeps a data directory's identity and what it knows of its peers in `node.yaml`.
///
/// SENDABLE: touched on the home scheduler only.
package final class IdentityStore: @unchecked Sendable {
    /// Why a data directory cannot be used.
    package enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// Another process has it open.
        case inUse(directory: String)
        /// It belongs to another node or cluster than the configuration says.
        case foreign(String)
        /// Its identity cannot be read.
        case damaged(String)
        /// A file operation failed.
        case file(FileError)

        /// One line for a person, with what to do.
        package var description: String {
            switch self {
            case .inUse(let directory):
                "data directory \(directory) is in use by another process: stop that one, or choose another"
            case .foreign(let text): text
            case .damaged(let text): text
            case .file(let error): "\(error)"
            }
        }
    }

    /// The file that says that a directory is being restored from a backup, so that nobody takes it for a node's.
    package static let restoringName = "RESTORING"

    private let durable: DurableState<NodeIdentity>

    /// The identity as it was last changed.
    package var identity: NodeIdentity { durable.state }

    private init(_ durable: DurableState<NodeIdentity>) {
        self.durable = durable
    }

    /// Opens the identity of a data directory, or makes one with a new incarnation where the directory is new.
    ///
    /// `isJoined` is what a new one says of itself; a directory that joined is not held against the configuration's cluster.
    /// - Throws: `foreign` where it is another node's or cluster's; `damaged`; `file`. A directory that holds data but no identity is
    ///   `damaged`: it is never taken for a new one.
    package static func open(
        _ directory: String,
        cluster: ClusterID,
        node: NodeID,
        isJoined: Bool = false,
        fileSystem: any FileSystem,
        workers: any WorkerPool,
        home: any Scheduler,
        randomness: any Randomness
    ) throws(Failure) -> IdentityStore {
        let path = directory + "/node.yaml"
        var identity: NodeIdentity
        do {
            if fileSystem.exists(path) {
                identity = try read(path, fileSystem)
            } else {
                let left = ["log", "groups"].filter { fileSystem.exists(directory + "/" + $0) }
                guard left.isEmpty else {
                    throw Failure.damaged(
                        "data directory \(directory) holds \(left.joined(separator: " and ")) but no node.yaml: it lost a part."
                            + " Restore it, or move the directory away and replace the node"
                    )
                }
                identity = NodeIdentity(cluster: cluster, node: node, incarnation: Incarnation(randomness.next() | 1))
                identity.isJoined = isJoined
                try fileSystem.replace(path, with: Array(identity.text.utf8))
            }
        } catch let failure as Failure {
            throw failure
        } catch let error as FileError {
            throw .file(error)
        } catch {
            throw .damaged("\(path): \(error)")
        }
        guard identity.node == node else {
            throw .foreign(
                "data directory \(directory) belongs to node \(identity.node), the configuration says node \(node):"
                    + " correct node.id or node.data_dir"
            )
        }
        guard identity.isJoined || identity.cluster == cluster else {
            throw .foreign(
                "data directory \(directory) belongs to cluster \(identity.cluster), the configuration makes cluster \(cluster):"
                    + " cluster.name, cluster.shards and cluster.nodes must be what the cluster was created with, or"
                    + " node.data_dir is another cluster's"
            )
        }
        return IdentityStore(
            DurableState(identity, workers: workers, home: home) {
                try fileSystem.replace(path, with: Array($0.text.utf8))
            }
        )
    }

    /// The identity that a data directory has, or nil where it has none.
    /// - Throws: `damaged` or `file`.
    package static func stored(in directory: String, _ fileSystem: any FileSystem) throws(Failure) -> NodeIdentity? {
        let path = directory + "/node.yaml"
        guard fileSystem.exists(path) else { return nil }
        do {
            return try read(path, fileSystem)
        } catch let failure as Failure {
            throw failure
        } catch let error as FileError {
            throw .file(error)
        } catch {
            throw .damaged("\(path): \(error)")
        }
    }

    private static func read(_ path: String, _ fileSystem: any FileSystem) throws -> NodeIdentity {
        let bytes = try fileSystem.readAll(path)
        do {
            return try NodeIdentity(parsing: bytes)
        } catch {
            throw Failure.damaged("\(path) is damaged: \(error); restore the data directory, or replace the node")
        }
    }

    /// Stores a peer's incarnation.
    ///
    /// `completion` is called on the home scheduler after it is on stable storage.
    package func remember(
        _ peer: NodeID,
        _ incarnation: Incarnation,
        completion: @escaping @Sendable ((any Error)?) -> Void
    ) {
        durable.change({ $0.peers[peer] = incarnation }, completion: completion)
    }

    /// Stores that the cluster removed this node.
    ///
    /// `completion` is called on the home scheduler after it is on stable storage.
    package func markRemoved(completion: @escaping @Sendable ((any Error)?) -> Void) {
        durable.change({ $0.isRemoved = true }, completion: completion)
    }

    /// Stores that the node is of another cluster from now on, in which it has met nobody.
    ///
    /// `completion` is called on the home scheduler after it is on stable storage.
    package func changeCluster(to cluster: ClusterID, completion: @escaping @Sendable ((any Error)?) -> Void) {
        durable.change(
            {
                $0.cluster = cluster
                $0.isJoined = true
                $0.isFormed = true
                $0.peers = [:]
            },
            completion: completion
        )
    }

    /// Stores that every member met this incarnation.
    ///
    /// `completion` is called on the home scheduler after it is on stable storage.
    package func markFormed(completion: @escaping @Sendable ((any Error)?) -> Void) {
        durable.change({ $0.isFormed = true }, completion: completion)
    }
}
