import NIOCore
import Synchronization

// Who says nothing, says something slowly, or does not listen, does not stay.

/// When a client last did something, in nanoseconds of the loop's clock.
struct ClientActivity {
    /// When a whole command was last taken; at first when it connected.
    var commandAt: UInt64 = 0
    /// Since when a command is there in part; nil where none is.
    var partSince: UInt64?
    /// Since when its replies could not be written; nil while they can.
    var stalledSince: UInt64?
}

/// What a client may take its time for, in nanoseconds; 0 for as long as it likes.
struct PatienceLimits {
    let idle: UInt64
    let command: UInt64
    let write: UInt64

    init(_ settings: RESPSettings) {
        idle = Self.nanoseconds(settings.idleTimeout)
        command = Self.nanoseconds(settings.commandTimeout)
        write = Self.nanoseconds(settings.writeTimeout)
    }

    /// How often to look: a client is let go at most a quarter of the shortest limit late; nil where nothing is limited.
    var interval: TimeAmount? {
        [idle, command, write].filter { $0 > 0 }.min().map { .nanoseconds(Int64(max(20_000_000, $0 / 4))) }
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return seconds < 0 ? 0 : UInt64(seconds) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
    }
}

extension RESPConnection {
    /// Why the client is to be let go, as metrics know it; nil where it may stay.
    ///
    /// On the loop. A client that waits for an answer is never too slow: the node is.
    func impatience(_ limits: PatienceLimits, now: UInt64) -> String? {
        guard let channel = channel, channel.isActive else { return nil }
        guard channel.isWritable else {
            let since = activity.stalledSince ?? now
            activity.stalledSince = since
            return limits.write > 0 && now - since >= limits.write ? "slow_reader" : nil
        }
        activity.stalledSince = nil
        guard !isWaitedFor else { return nil }
        if hasPartOfCommand {
            let began = activity.partSince ?? activity.commandAt
            return limits.command > 0 && now - min(now, began) >= limits.command ? "slow_command" : nil
        }
        let quiet = now - min(now, activity.commandAt)
        return limits.idle > 0 && quiet >= limits.idle ? "idle" : nil
    }
}

extension RESPConnection {
    /// Replies were written that the client does not read for now.
    func leaveUnread(_ count: Int) {
        unreadBytes += count
        let total = shared.unreadBytes.add(count, ordering: .relaxed).newValue
        guard total > shared.settings.outputBytesTotalMax, !hasOverflowed else { return }
        hasOverflowed = true
        shared.outputOverflows.add()
        // Not at once: the replies of this turn are being written.
        loop.eventLoop.execute { self.closeNow() }
    }

    /// What waited was read, or nobody is left to read it.
    func forgetUnread() {
        guard unreadBytes > 0 else { return }
        shared.unreadBytes.subtract(unreadBytes, ordering: .relaxed)
        unreadBytes = 0
    }
}

extension RESPShared {
    /// Looks at every connection, each on its loop, and closes those that take too long.
    func letGoOfTheSlow(_ limits: PatienceLimits) {
        let loops = Dictionary(grouping: connections) { ObjectIdentifier($0.loop) }
        for connections in loops.values {
            connections[0].loop.eventLoop.execute { [self] in
                let now = NIODeadline.now().uptimeNanoseconds
                for connection in connections {
                    guard let reason = connection.impatience(limits, now: now) else { continue }
                    patienceEnds[reason]?.add()
                    connection.closeNow()
                }
            }
        }
    }
}
