package import KVEnvironment

/// What becomes of changes that were not synced when the machine crashes.
package enum CrashSurvival: Sendable, CaseIterable {
    /// Only what was synced is left: the cautious disk.
    case loseAll
    /// Everything written is left, synced or not: the eager disk.
    case keepAll
    /// Each sector and each change of names is kept, dropped or torn as the seed says.
    case random
}

/// What goes wrong on a simulated disk, and when.
///
/// Changing operations (create, write, sync, truncate, rename, remove, link, directory sync) are counted from 1 in
/// `operationCount`; a crash sweep runs a workload once to learn the count and then once for each number.
package struct DiskFaults: Sendable {
    /// The machine stops in this changing operation: it takes effect without being synced (a sync does not), its caller and all
    /// later ones get input/output errors.
    package var crashAt: Int?
    /// This changing operation fails and nothing else does.
    package var failAt: Int?
    /// This and every later changing operation fail.
    package var failFrom: Int?
    /// This read fails, counted from 1 in `readCount`.
    package var failReadAt: Int?
    /// What `failAt`, `failFrom` and `errorProbability` fail with.
    package var reason: FileError.Reason = .inputOutput
    /// How likely any changing operation fails.
    package var errorProbability = 0.0
    /// How likely a sync fails; what it was to bring to the disk is then lost by chance, and a later sync does not bring it.
    package var synchronizeErrorProbability = 0.0
    /// How likely a read returns less than is there.
    package var shortReadProbability = 0.0
    /// How many bytes of content the disk holds; nil: any.
    package var capacityBytes: Int?

    /// Nothing goes wrong.
    package init() {}
}

/// What happened on a simulated disk so far.
package struct DiskStatistics: Sendable, Equatable {
    /// Syncs of files that succeeded.
    package var fileSyncs = 0
    /// Syncs of directories that succeeded.
    package var directorySyncs = 0
    /// Bytes written.
    package var bytesWritten = 0
    /// Crashes.
    package var crashes = 0
    /// Sectors that crashes left in their old state.
    package var sectorsDropped = 0
    /// Sectors that crashes left half old, half new.
    package var sectorsTorn = 0
    /// Changes of names that crashes undid.
    package var namesLost = 0
    /// Errors that were injected.
    package var errorsInjected = 0
    /// Bits flipped at rest.
    package var bitsFlipped = 0

    /// Nothing yet.
    package init() {}
}
