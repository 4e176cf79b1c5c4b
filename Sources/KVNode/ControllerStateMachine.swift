import KVBase
import KVRaft
import KVReplication
import KVService
import KVSharding
import KVStorage

/// Group 0's state: one row of one tablet, written whole with each command that changes it, so that flush, replay, cut and snapshot are
/// those of every other group.
final class ControllerStateMachine: GroupStateMachine {
    private static let row = TabletRows.internalKey("controller")

    private var hosted: HostedTablet
    private(set) var state: ControllerState
    /// Called after each change.
    var onChange: (() -> Void)?

    /// Goes on from what the tablet holds.
    /// - Throws: where the row cannot be read.
    init(_ hosted: HostedTablet) throws {
        self.hosted = hosted
        state = ControllerState()
        try load()
    }

    private func load() throws {
        let stored: [UInt8]? = try Self.row.withUnsafeBytes { key in
            try hosted.tablet.get(key, memoryOnly: false) { result in
                if case .found(let bytes) = result { Array(bytes) } else { nil }
            }
        }
        if let stored { state = try stored.withUnsafeBytes { try ControllerState($0) } }
    }

    var tablets: [HostedTablet] { [hosted] }

    func replace(_ tablets: [HostedTablet]) throws {
        guard let first = tablets.first else { throw NodeError("a snapshot of group 0 has no tablet") }
        hosted = first
        state = ControllerState()
        try load()
        onChange?()
    }

    var loggedTime: UInt64 { hosted.tablet.mark.loggedTime }

    func apply(_ entry: Entry, wantsReplies: Bool, reply: (Int, borrowing Reply) -> Void) throws -> ApplyOutcome {
        guard entry.index > hosted.tablet.mark.appliedIndex else { return .done }
        let command = try entry.payload.withUnsafeBytes { try ControllerCommand($0) }
        let outcome = state.apply(command)
        var batch = WriteBatch()
        if outcome == .applied {
            let bytes = state.encoded
            Self.row.withUnsafeBytes { key in bytes.withUnsafeBytes { batch.put(key, $0) } }
        }
        var mark = hosted.tablet.mark
        mark.appliedIndex = entry.index
        mark.appliedTerm = entry.term
        mark.loggedTime = max(mark.loggedTime, entry.time)
        try hosted.tablet.write(batch, mark: mark)
        if case .refused(let reason) = outcome {
            reply(0, .failed(ServiceError(.conflict, reason)))
        } else {
            reply(0, Reply(.done))
        }
        if outcome == .applied { onChange?() }
        return .done
    }

    func read(_ request: RoutedRequest, now: UInt64?, reply: (borrowing Reply) -> Void) throws -> ReadOutcome {
        reply(.failed(ServiceError(.badRequest, "group 0 holds no keys of users")))
        return .done
    }
}
