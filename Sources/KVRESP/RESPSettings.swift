package import KVBase
package import NIOCore

/// What a process takes of its machine.
package struct ProcessUsage: Sendable {
    /// Memory that is resident now, in bytes.
    package var residentBytes: UInt64
    /// The most that was ever resident, in bytes.
    package var residentBytesPeak: UInt64
    /// Processor time in the program itself, in microseconds.
    package var userMicroseconds: UInt64
    /// Processor time in the system for it, in microseconds.
    package var systemMicroseconds: UInt64

    /// All of it.
    package init(
        residentBytes: UInt64,
        residentBytesPeak: UInt64,
        userMicroseconds: UInt64,
        systemMicroseconds: UInt64
    ) {
        self.residentBytes = residentBytes
        self.residentBytesPeak = residentBytesPeak
        self.userMicroseconds = userMicroseconds
        self.systemMicroseconds = systemMicroseconds
    }
}

/// What bounds a RESP listener and what it says about itself.
package struct RESPSettings: Sendable {
    /// This node.
    package var node: NodeID
    /// The program's version, for INFO.
    package var softwareVersion: String
    /// Whether clients are sent to the node that leads a key's shard, as Redis Cluster does, instead of being served here.
    package var isRedirecting = false
    /// How many commands a client may queue between MULTI and EXEC, and how many bytes of them.
    package var queuedCommandsMax = 10_000
    /// How many bytes of commands a client may queue.
    package var queuedBytesMax = Limits.valueBytesMax
    /// How many keys a client may watch.
    package var watchedKeysMax = 1_024
    /// How many slow commands are remembered unless CONFIG SET says otherwise.
    package var slowLogLengthDefault = 128
    /// From how many microseconds on a command is slow unless CONFIG SET says otherwise.
    package var slowLogMicrosecondsDefault: Int64 = 10_000
    /// How many clients may be connected at once.
    package var connectionsMax = 10_000
    /// How many arguments a command may have.
    package var argumentsMax = 65_536
    /// How many bytes one command may take: two greatest values and some.
    package var commandBytesMax = 2 * Limits.valueBytesMax + (1 << 20)
    /// How many bytes of a command may wait from a client who has not said who it is, where that is asked.
    package var strangerBytesMax = 64 * 1024
    /// How long a client may take to say who it is, where that is asked.
    package var authenticationTimeout: Duration = .seconds(10)
    /// How long a client may be without a command; zero for as long as it likes.
    package var idleTimeout: Duration = .seconds(3_600)
    /// How long a command may take to arrive, from the end of the one before.
    package var commandTimeout: Duration = .seconds(60)
    /// How long a client may leave replies unread.
    package var writeTimeout: Duration = .seconds(60)
    /// How long an inline command may be.
    package var inlineBytesMax = 64 * 1024
    /// How many requests of a connection may be unanswered before it is not read any further.
    package var requestsInFlightMax = 1_024
    /// How many bytes of replies may wait for a client before it is disconnected.
    package var outputBytesMax = 256 << 20
    /// How many bytes of replies may wait for all clients of a listener together before one that does not read is disconnected.
    package var outputBytesTotalMax = 512 << 20
    /// How many requests a batch holds at most before it is submitted.
    package var batchRequestsMax = 1_024
    /// How many bytes a batch holds before it is submitted.
    package var batchBytesMax = 1 << 20
    /// How many keys KEYS may answer with before it errs and points to SCAN.
    package var keysMax = 1_000_000
    /// How long a client may take to read the error that ends its connection and to end it too.
    package var lingerTimeout: Duration = .seconds(5)
    /// How many bytes of such a client are dropped before the connection is closed all the same.
    package var lingerBytesMax = 32 << 20
    /// How long `stop` lets replies finish.
    package var stopDeadline: Duration = .seconds(5)
    /// Puts TLS on a new connection; nil where clients speak in the clear.
    package var secure: (@Sendable (any Channel) throws -> Void)?
    /// What the process takes, for INFO, which leaves out what it is not told.
    package var processUsage: (@Sendable () -> ProcessUsage)?
    /// The wall clock, in milliseconds since 1970.
    package var now: @Sendable () -> UInt64

    /// Settings with the defaults.
    package init(node: NodeID, softwareVersion: String, now: @escaping @Sendable () -> UInt64) {
        self.node = node
        self.softwareVersion = softwareVersion
        self.now = now
    }
}
