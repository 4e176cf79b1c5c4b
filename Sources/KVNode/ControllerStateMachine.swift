import KVBase
import KVRaft
import KVReplication
import KVService
import KVSharding
import KVStorage

/// Group 0's state: two rows of one tablet, the controller's and the users', each written whole with each command that changes it, so
/// that flush, replay, cut and snapshot are those of every other group.
final class ControllerStateMachine: GroupStateMachine {
    private static let row = TabletRows.internalKey("controller")
    private static let accessRow = TabletRows.internalKey("access")

    private var hosted: HostedTablet
    private let supportedLevel: UInt32
    private(set) var state: ControllerState
    private(set) var access = AccessState()
    /// Called after each change.
    var onChange: (() -> Void)?
    /// Called after each change of users.
    var onAccessChange: (() -> Void)?

    /// Goes on from what the tablet holds.
    /// - Throws: where the row cannot be read, or the cluster uses a feature level beyond the supported one.
    init(_ hosted: HostedTablet, supportedLevel: UInt32) throws {
        self.hosted = hosted
        self.supportedLevel = supportedLevel
        state = ControllerState()
        try load()
    }

    private func load() throws {
        if let stored = try stored(Self.row) { state = try stored.withUnsafeBytes { try ControllerState($0) } }
        try check(state.featureLevel)
        if let stored = try stored(Self.accessRow) { access = try stored.withUnsafeBytes { try AccessState($0) } }
    }

    private func check(_ level: UInt32) throws {
        if level > supportedLevel { throw ApplyError.newerFeatureLevel(level, supported: supportedLevel) }
    }

    private func stored(_ row: [UInt8]) throws -> [UInt8]? {
        try row.withUnsafeBytes { key in
            try hosted.tablet.get(key, memoryOnly: false) { result in
                if case .found(let bytes) = result { Array(bytes) } else { nil }
            }
        }
    }

    var tablets: [HostedTablet] { [hosted] }

    func replace(_ tablets: [HostedTablet]) throws {
        guard let first = tablets.first else { throw NodeError("a snapshot of group 0 has no tablet") }
        hosted = first
        state = ControllerState()
        access = AccessState()
        try load()
        onChange?()
        onAccessChange?()
    }

    var loggedTime: UInt64 { hosted.tablet.mark.loggedTime }

    func apply(_ entry: Entry, wantsReplies: Bool, reply: (Int, borrowing Reply) -> Void) throws -> ApplyOutcome {
        guard entry.index > hosted.tablet.mark.appliedIndex else { return .done }
        if entry.payload.first == AccessFormat.commandNumber {
            try applyAccess(entry, reply)
            return .done
        }
        let command = try entry.payload.withUnsafeBytes { try ControllerCommand($0) }
        if case .levelRaised(let level) = command { try check(level) }
        let outcome = state.apply(command)
        try write(outcome == .applied ? state.encoded : nil, to: Self.row, entry)
        // In the tables soon, so that an older program refuses the directory when it is started, not when it comes to this entry.
        if case .levelRaised = command, outcome == .applied { hosted.tablet.flush() }
        if case .refused(let reason) = outcome {
            reply(0, .failed(ServiceError(.conflict, reason)))
        } else {
            reply(0, Reply(.done))
        }
        if outcome == .applied { onChange?() }
        return .done
    }

    /// A command about users.
    private func applyAccess(_ entry: Entry, _ reply: (Int, borrowing Reply) -> Void) throws {
        let command = try entry.payload.withUnsafeBytes { try AccessCommand($0) }
        let outcome = access.apply(command)
        try write(outcome == .applied ? access.encoded : nil, to: Self.accessRow, entry)
        // Before the answer: whoever is told that a right is gone finds it gone here.
        if outcome == .applied { onAccessChange?() }
        if case .refused(let error) = outcome { reply(0, .failed(error)) } else { reply(0, Reply(.done)) }
    }

    /// Writes a row, where there is one to write, and how far the group is.
    private func write(_ bytes: [UInt8]?, to row: [UInt8], _ entry: Entry) throws {
        var batch = WriteBatch()
        if let bytes { row.withUnsafeBytes { key in bytes.withUnsafeBytes { batch.put(key, $0) } } }
        var mark = hosted.tablet.mark
        mark.appliedIndex = entry.index
        mark.appliedTerm = entry.term
        mark.loggedTime = max(mark.loggedTime, entry.time)
        try hosted.tablet.write(batch, mark: mark)
    }

    func read(_ request: RoutedRequest, now: UInt64?, reply: (borrowing Reply) -> Void) throws -> ReadOutcome {
        reply(.failed(ServiceError(.badRequest, "group 0 holds no keys of users")))
        return .done
    }
}
