import Foundation
import KVStorage

// Space that deletions free: nine of ten keys are deleted, and then nothing is done but what a node does once a second.

extension EngineSession {
    /// Of how many keys one is left.
    static let keptShare: UInt64 = 10
    /// How long space may take to come back.
    private static let secondsMax = 60

    /// Deletes all keys but each tenth.
    func deleteMost(_ tally: ThreadTally) {
        let key = KeyBuffer(count: settings.keyBytes)
        var batch = WriteBatch()
        for number in 0..<settings.count where number % Self.keptShare != 0 {
            key.set(number)
            batch.removeAll()
            batch.delete(key.bytes)
            guard write(batch, tally) else { return }
            tally.bytes += UInt64(settings.keyBytes)
            tally.finished()
        }
    }

    /// Waits until disk and memory come to rest, a minute at most, and says what they are against the data that is left.
    func reclaim(_ tablet: Tablet) throws -> (ThreadTally, [String: Double]) {
        let tally = ThreadTally()
        tally.start()
        let live = settings.count / Self.keptShare * UInt64(settings.keyBytes + settings.valueBytes)
        var disk: UInt64 = 0
        var memory: UInt64 = 0
        var seconds = 0
        for second in 1...Self.secondsMax {
            usleep(1_000_000)
            try maintain()
            let (newDisk, newMemory) = (allocatedBytes(below: settings.directory), residentGrowth)
            if (newDisk, newMemory) != (disk, memory) { seconds = second }
            (disk, memory) = (newDisk, newMemory)
            tally.finished()
            // The age at which deletions are flushed has passed, and nothing changed since.
            if second - seconds > 12, tablet.isIdle { break }
        }
        return (
            tally,
            [
                "liveBytes": Double(live), "diskBytes": Double(disk), "memoryBytes": Double(memory),
                "diskShare": Double(disk) / Double(max(live, 1)), "memoryShare": Double(memory) / Double(max(live, 1)),
                "secondsToRest": Double(seconds),
            ]
        )
    }

    /// By how much the process's memory is larger than before the first tablet was opened.
    private var residentGrowth: UInt64 {
        let now = ProcessUsage.residentBytes
        return now > residentAtStart ? now - residentAtStart : 0
    }
}
