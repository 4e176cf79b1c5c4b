package import NIOCore

/// What bounds a gRPC listener.
package struct GRPCSettings: Sendable {
    /// How many connections may be open at once; further ones wait in the listen queue.
    package var connectionsMax = 10_000
    /// How many calls of one connection may be open at once; a client that knows of it waits.
    package var streamsMax = 128
    /// How many requests of one pipeline may be unanswered before it is read no further.
    package var pipelineMax = 1_024
    /// How many bytes of pipelines' answers may wait for their clients, over all connections.
    package var unreadBytesMax = 512 << 20
    /// How many calls may watch the health at once; everybody may, so that they must not take all connections.
    package var watchesMax = 1_024
    /// How long a connection may be without a call.
    package var idleTimeout: Duration = .seconds(300)
    /// How long the rest of a message that has begun may take to come.
    package var messageTimeout: Duration = .seconds(30)
    /// How long a client may leave an answer unread.
    package var writeTimeout: Duration = .seconds(60)
    /// From how long without a byte on a connection is asked whether it lives.
    package var keepaliveInterval: Duration = .seconds(60)
    /// How long it may take to say so.
    package var keepaliveTimeout: Duration = .seconds(20)
    /// How many bytes may come before they are taken, for a call and for a connection.
    package var windowBytes = 1 << 20
    /// How many bytes one message of a listing has, about.
    package var scanMessageBytes = 256 << 10
    /// How many keys a listing reads at once.
    package var scanPageLimit = 1_000
    /// How often a client that watches the health is told of a change.
    package var healthInterval: Duration = .seconds(1)
    /// From how many nanoseconds on a call is logged as slow, with its id; 0 for never.
    package var slowNanoseconds: UInt64 = 0
    /// How long a shutdown lets calls finish.
    package var stopDeadline: Duration = .seconds(5)
    /// Puts TLS on a new connection; nil where clients speak in the clear.
    package var secure: (@Sendable (any Channel) throws -> Void)?

    /// Settings with the defaults.
    package init() {}
}
