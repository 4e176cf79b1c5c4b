import KVBase
import KVConfiguration
import KVNode
import KVPeer
import KVReplication
import Logging
import NIOCore

/// Makes a new host a member: asks members until one of them says which replicas this node hosts.
struct Joining {
    private let configuration: NodeConfiguration
    private let settings: NodeSettings
    private let environment: NodeEnvironment
    private let group: any EventLoopGroup
    private let log: Logger

    private static let pause = Duration.milliseconds(300)

    init(
        _ configuration: NodeConfiguration,
        _ settings: NodeSettings,
        _ environment: NodeEnvironment,
        _ group: any EventLoopGroup,
        _ log: Logger
    ) {
        self.configuration = configuration
        self.settings = settings
        self.environment = environment
        self.group = group
        self.log = log
    }

    /// What a member said, or nil where there is nothing to join: none was named, or the node is a member already.
    /// - Throws: why the node can never join, in a line for a person.
    func plan(asking texts: [String]) async throws -> JoinAnswer? {
        guard !texts.isEmpty else { return nil }
        var addresses = try texts.map { text in
            guard let address = PeerAddress(text) else { throw NodeError("--join \(text): expected host:port") }
            return address
        }
        var identity: NodeIdentity?
        switch try Node.joinProgress(settings, environment.fileSystem) {
        case .done:
            log.info("the node is a member already: --join is ignored")
            return nil
        case .begun(let known): identity = known
        case .fresh: break
        }
        var told = ""
        while true {
            for address in addresses {
                let answer: JoinAnswer
                do {
                    let hello = Node.joinHello(settings, identity)
                    answer = try await JoinCall.ask(address, hello, on: group, settings: configuration.peerSettings)
                        .get()
                } catch {
                    tell("no answer: \(error)", &told)
                    continue
                }
                if identity == nil || identity?.cluster != answer.cluster {
                    identity = try Node.beginJoin(settings, cluster: answer.cluster, environment)
                }
                for member in answer.members where member.node != settings.node {
                    guard let other = PeerAddress(member.address), !addresses.contains(other) else { continue }
                    addresses.append(other)
                }
                switch answer.state {
                case .placed:
                    log.info("joining", metadata: ["cluster": "\(answer.cluster)", "replicas": "\(answer.replicas)"])
                    return answer
                case .refused: throw NodeError("the cluster refuses this node: \(answer.text)")
                case .unknown: tell(answer.text, &told)
                }
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// Says why it waits, once for each reason.
    private func tell(_ text: String, _ told: inout String) {
        guard text != told else { return }
        told = text
        log.notice("waiting to join: \(text)")
    }
}
