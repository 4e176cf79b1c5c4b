import KVBase
import KVConfiguration
import KVNode
import KVService
import KVTelemetry
import Logging
import Synchronization

/// What an operator changes while the process runs: the settings that it takes up at once, and compaction.
final class Operations: OperationsService {
    private let node: Node
    private let log: Logger
    private let state: Mutex<State>

    private struct State {
        var loaded: LoadedConfiguration
        /// Called with what was and what is.
        var followers: [@Sendable (NodeConfiguration, NodeConfiguration) -> Void] = []
    }

    init(_ loaded: LoadedConfiguration, _ node: Node, _ log: Logger) {
        state = Mutex(State(loaded: loaded))
        self.node = node
        self.log = log
    }

    /// Has a part of the process follow a part of the configuration: `body` is called with every change of it, in order, and only
    /// stores numbers.
    func follow<Part: Equatable & SendableMetatype>(
        _ part: @escaping @Sendable (NodeConfiguration) -> Part,
        _ body: @escaping @Sendable (Part) -> Void
    ) {
        state.withLock {
            $0.followers.append { old, new in
                let changed = part(new)
                if changed != part(old) { body(changed) }
            }
        }
    }

    var settings: [SettingDescription] {
        // `log-level` changes the level too.
        let level = LogLevelControl.shared.level.rawValue
        return state.withLock { $0.loaded.shown }.map { setting in
            let isOther = setting.path == "logging.level" && setting.value != level
            return SettingDescription(
                name: setting.path,
                value: isOther ? level : setting.value,
                origin: isOther ? Origin.live.description : setting.origin,
                isLive: setting.isLive
            )
        }
    }

    func changeSetting(_ name: String, to value: String) throws(ServiceError) -> SettingDescription {
        let refusal = state.withLock { state -> ServiceError? in
            do throws(LoadedConfiguration.ChangeError) {
                let old = state.loaded.configuration
                state.loaded = try state.loaded.changing(name, to: value)
                // Under the lock, so that the process follows the last change.
                for follow in state.followers { follow(old, state.loaded.configuration) }
                // `log-level` changes it beside the configuration: what is asked for here holds, whatever was before.
                if name == "logging.level" { LogLevelControl.shared.level = state.loaded.configuration.loggerLevel }
                return nil
            } catch {
                return Self.refusal(name, error)
            }
        }
        if let refusal { throw refusal }
        log.notice("a setting was changed", metadata: ["setting": "\(name)", "value": "\(value)"])
        guard let changed = settings.first(where: { $0.name == name }) else {
            throw ServiceError(.internalError, "the setting \(name) was changed and is not there")
        }
        return changed
    }

    private static func refusal(_ name: String, _ error: LoadedConfiguration.ChangeError) -> ServiceError {
        switch error {
        case .unknown(let nearest):
            let hint = nearest.map { "; nearest: \($0)" } ?? ""
            return ServiceError(.notFound, "there is no setting '\(name)'\(hint)")
        case .isFixed:
            let live = LoadedConfiguration.livePaths.sorted().joined(separator: ", ")
            return ServiceError(.conflict, "\(name) is read at the start only; what can change are \(live)")
        case .wrong(let text): return ServiceError(.badRequest, text)
        }
    }

    func compact(
        _ shard: ShardID?,
        completion: @escaping @Sendable (Result<[CompactedShard], ServiceError>) -> Void
    ) {
        node.compact(shard, completion: completion)
    }
}
