import KVBase
import KVConfiguration
import KVGRPC
import KVHTTP
import KVNode
import KVPeer
import KVPosix
import KVRESP
import KVReplication
import KVService
import KVTLS
import Logging

// From what people configure to what each module wants to be told.

/// Into how many ticks a heartbeat is divided: elections are drawn in ticks.
private let ticksPerHeartbeat = 5

extension NodeConfiguration {
    var nodeSettings: NodeSettings {
        var settings = NodeSettings(
            node: node.id,
            members: cluster.nodes.map { NodeSettings.Member(id: $0.id, peerAddress: $0.peer.description) },
            dataDirectory: node.dataDirectory
        )
        settings.clusterName = cluster.name
        settings.shardCount = cluster.shards
        settings.logDirectory = log.directory
        settings.logSegmentBytes = UInt64(log.segmentBytes)
        settings.limits = KVService.RequestLimits(keyBytesMax: limits.keyBytes, valueBytesMax: limits.valueBytes)
        settings.leaderWaitNanoseconds = request.leaderWait.wholeNanoseconds
        settings.addresses = [
            "resp": resp.advertised.description, "http": http.advertised.description,
            "grpc": grpc.advertised.description, "peer": peer.advertised.description,
        ]
        settings.addresses["resp_redirect"] = respCluster.listener?.advertised.description
        settings.softwareVersion = Version.text
        settings.demandsAuthentication = authentication.isRequired
        settings.slowRequestNanoseconds = logging.slowRequest.wholeNanoseconds
        settings.timesRequests = metrics.countsRequests
        settings.blockCacheBytes = storage.blockCacheBytes
        apply(to: &settings.group)
        settings.tablet.memtableBytes = storage.memtableBytes
        settings.tablet.memoryBudgetBytes = storage.memoryBudgetBytes - storage.blockCacheBytes
        settings.tablet.isCompressed = storage.compression == .zstd
        settings.tablet.levelZeroCompactAt = storage.levelZeroCompactAt
        settings.tablet.levelZeroSlowAt = storage.levelZeroSlowAt
        settings.tablet.levelZeroStopAt = storage.levelZeroStopAt
        return settings
    }

    private func apply(to group: inout GroupSettings) {
        let tick = max(1_000_000, raft.heartbeat.wholeNanoseconds / UInt64(ticksPerHeartbeat))
        group.tickNanoseconds = tick
        group.heartbeatTicks = ticksPerHeartbeat
        group.electionTicks = max(ticksPerHeartbeat + 1, Int(raft.electionTimeout.wholeNanoseconds / tick))
        group.appendBytesMax = raft.batchBytesMax
        group.appendsInFlightMax = raft.inflightMessages
        group.appendBytesInFlightMax = raft.inflightBytes
        group.uncommittedBytesMax = raft.uncommittedBytesMax
        group.requestTimeoutNanoseconds = request.timeout.wholeNanoseconds
        group.retainedLogBytes = UInt64(log.retainBytes)
        group.retainedLogEntries = UInt64(log.retainEntries)
        group.retainedLogNanoseconds = log.retainTime.wholeNanoseconds
        group.snapshotLogBytesMax = UInt64(log.retainedMax)
    }

    func peerSettings(_ contexts: TLSContexts?) -> PeerSettings {
        var settings = PeerSettings()
        if tls.isOnPeer, let contexts {
            settings.secureAccepted = { try contexts.secureAcceptedPeer($0) }
            settings.secureDialed = { try contexts.secureDialedPeer($0, $1) }
            settings.certifiedNodes = { contexts.certifiedNodes($0).map { $0.map { NodeID($0) } } }
        }
        settings.connectTimeout = peerLinks.connectTimeout
        settings.idleTimeout = peerLinks.idleTimeout
        settings.queueBytesMax = peerLinks.queueBytesMax
        settings.bulkBytesPerSecond = peerLinks.bulkBytesPerSecond
        return settings
    }

    func respSettings(_ clock: PosixClock, _ security: Security) -> RESPSettings {
        var settings = RESPSettings(node: node.id, softwareVersion: Version.text) { clock.wallMilliseconds }
        if tls.isOnRESP, let contexts = security.contexts { settings.secure = { try contexts.secureClients($0) } }
        settings.processUsage = { HostProcess.usage }
        settings.idleTimeout = respLimits.idleTimeout
        settings.commandTimeout = respLimits.commandTimeout
        settings.writeTimeout = respLimits.writeTimeout
        settings.connectionsMax = limits.connections
        settings.requestsInFlightMax = limits.pipeline
        return settings
    }

    func httpSettings(_ security: Security) -> HTTPSettings {
        var settings = HTTPSettings()
        if tls.isOnHTTP, let contexts = security.contexts {
            settings.secure = { try contexts.secureClients($0) }
            settings.scheme = "https"
        }
        settings.connectionsMax = limits.connections
        settings.queryRoutes = httpLimits.queryRoutes
        settings.crossOrigins = (httpLimits.corsOrigins ?? "").split(separator: " ").map(String.init)
        settings.idleTimeout = httpLimits.idleTimeout
        settings.bodyTimeout = httpLimits.bodyTimeout
        settings.writeTimeout = httpLimits.writeTimeout
        settings.scrapeLifetime = .milliseconds(50)
        settings.slowNanoseconds = logging.slowRequest.wholeNanoseconds
        return settings
    }

    func grpcSettings(_ security: Security) -> GRPCSettings {
        var settings = GRPCSettings()
        if tls.isOnGRPC, let contexts = security.contexts {
            settings.secure = { try contexts.secureHTTP2Clients($0) }
        }
        settings.connectionsMax = limits.connections
        settings.pipelineMax = limits.pipeline
        settings.streamsMax = grpcLimits.calls
        settings.idleTimeout = grpcLimits.idleTimeout
        settings.messageTimeout = grpcLimits.messageTimeout
        settings.writeTimeout = grpcLimits.writeTimeout
        settings.slowNanoseconds = logging.slowRequest.wholeNanoseconds
        return settings
    }

    /// How many event loops there are: other threads write the log, read blocks and compact.
    var loopCount: Int { threads.loops > 0 ? threads.loops : max(1, HostProcess.processors / 2) }

    var loggerLevel: Logger.Level { Logger.Level(rawValue: logging.level.rawValue) ?? .info }
}

extension NodeSettings {
    /// Whom to connect to at first: the configuration's members, or those that a member named; group 0 knows better later.
    var peerAddresses: [NodeID: PeerAddress] {
        let named = join.map { $0.members.map { ($0.node, $0.address) } } ?? members.map { ($0.id, $0.peerAddress) }
        return Dictionary(named.compactMap { id, text in PeerAddress(text).map { (id, $0) } }) { one, _ in one }
    }
}
