import KVBase
import KVRaft

/// Everything that a core asked its host to do, chained into one number (FNV-1a over words): two cores that decided alike have the same.
struct EffectsDigest {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    private mutating func add(_ word: UInt64) {
        value = (value ^ word) &* 0x0000_0100_0000_01b3
        value ^= value >> 29
    }

    mutating func add(_ effects: Effects) {
        add(effects.ticket)
        add(effects.messagesNow)
        add(effects.messagesAfterPersist)
        add(effects.entries)
        add(effects.entriesToApply)
        if let state = effects.hardState {
            add(state.term)
            add(state.vote?.rawValue ?? 0)
            add(state.commit)
        }
        for read in effects.readsReady {
            add(read.context)
            add(read.index)
        }
        for context in effects.readsFailed { add(context &+ 1) }
        if let change = effects.roleChange {
            add(UInt64(change.role.rawValue))
            add(change.term)
            add(change.leader?.rawValue ?? 0)
        }
        for request in effects.snapshotsToSend {
            add(request.replica.rawValue)
            add(request.atLeast)
        }
        for need in effects.entriesNeeded {
            add(need.first)
            add(need.last)
            add(UInt64(need.bytesMax))
        }
        add(effects.snapshotToInstall?.index ?? 0)
        add(effects.leaveJointWanted ? 1 : 2)
    }

    private mutating func add(_ messages: [Message]) {
        add(UInt64(messages.count))
        for message in messages {
            add(UInt64(message.kind.rawValue) << 32 | message.from.rawValue << 16 | message.to.rawValue)
            add(message.term)
            add(message.logTerm)
            add(message.index)
            add(message.commit)
            add(message.rejectHint)
            add(message.context)
            add((message.isRejected ? 1 : 2) | (message.isForced ? 4 : 8))
            add(message.entries)
            for byte in message.configuration { add(UInt64(byte)) }
        }
    }

    private mutating func add(_ entries: [Entry]) {
        add(UInt64(entries.count))
        for entry in entries {
            add(entry.index)
            add(entry.term)
            add(UInt64(entry.kind.rawValue))
            add(UInt64(entry.checksum))
        }
    }
}
