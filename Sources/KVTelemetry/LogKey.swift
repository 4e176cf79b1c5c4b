package import Logging

/// The keys of log metadata, each written once, so that a search for one finds every line.
package enum LogKey: String, CaseIterable, Sendable {
    /// What was done, in the audit log.
    case action
    /// An address that is listened on or connected to.
    case address
    /// A client's number, as CLIENT LIST shows it.
    case client
    /// What failed, in words.
    case error
    /// A Raft group.
    case group
    /// A place in a log.
    case index
    /// This node.
    case node
    /// Another node.
    case peer
    /// A file or folder.
    case path
    /// An HTTP request's id.
    case requestID = "request_id"
    /// A shard.
    case shard
    /// Whom or what an action is about.
    case subject
    /// A Raft term.
    case term
    /// A user of the store.
    case user
}

extension Logger {
    /// One key's value.
    package subscript(_ key: LogKey) -> Logger.Metadata.Value? {
        get { self[metadataKey: key.rawValue] }
        set { self[metadataKey: key.rawValue] = newValue }
    }
}

extension Dictionary where Key == String, Value == Logger.MetadataValue {
    /// Metadata with typed keys.
    package static func keys(_ pairs: KeyValuePairs<LogKey, String>) -> Logger.Metadata {
        Logger.Metadata(uniqueKeysWithValues: pairs.map { ($0.key.rawValue, .string($0.value)) })
    }
}
