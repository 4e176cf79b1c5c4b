import KVBase
import KVReplication

extension PeerHello {
    /// The newest and oldest version of what the frames mean that this code speaks.
    package static let protocolSpoken: ClosedRange<UInt32> = 1...1

    /// Its form in an envelope.
    func wire(purpose: WirePurpose, wanted: NodeID?) -> WireHello {
        var wire = WireHello()
        wire.clusterHigh = cluster.high
        wire.clusterLow = cluster.low
        wire.node = node.rawValue
        wire.incarnation = incarnation.rawValue
        wire.protocolMin = protocolRange.lowerBound
        wire.protocolMax = protocolRange.upperBound
        wire.featureLevel = featureLevel
        wire.addresses = addresses
        wire.isBlank = isBlank
        wire.purpose = purpose
        wire.wantedNode = wanted?.rawValue ?? 0
        return wire
    }

    /// What a hello says.
    /// - Throws: `invalid`, with the field and its value.
    init(_ wire: WireHello) throws(PeerFrameError) {
        guard wire.protocolMin <= wire.protocolMax else {
            throw .invalid("protocol range \(wire.protocolMin) to \(wire.protocolMax)")
        }
        guard wire.node > 0 else { throw .invalid("node id 0") }
        self.init(
            cluster: ClusterID(high: wire.clusterHigh, low: wire.clusterLow),
            node: NodeID(wire.node),
            incarnation: Incarnation(wire.incarnation),
            protocolRange: wire.protocolMin...wire.protocolMax,
            featureLevel: wire.featureLevel,
            addresses: wire.addresses,
            isBlank: wire.isBlank
        )
    }
}

extension WireEnvelope {
    /// An envelope with a verdict.
    static func verdict(_ verdict: PeerVerdict) -> WireEnvelope {
        var envelope = WireEnvelope()
        switch verdict {
        case .admitted: envelope.verdict.isAdmitted = true
        case .refused(let reason): envelope.verdict.reason = bounded(reason)
        case .removed(let reason):
            envelope.verdict.reason = bounded(reason)
            envelope.verdict.isRemoved = true
        }
        return envelope
    }

    /// An envelope that says that the sender closes.
    static func goodbye(_ reason: String, isStopping: Bool) -> WireEnvelope {
        var envelope = WireEnvelope()
        envelope.goodbye.reason = bounded(reason)
        envelope.goodbye.isStopping = isStopping
        return envelope
    }

    /// An envelope that keeps a connection.
    static func ping(isAnswer: Bool) -> WireEnvelope {
        var envelope = WireEnvelope()
        envelope.ping.isAnswer = isAnswer
        return envelope
    }

    private static func bounded(_ reason: String) -> String {
        reason.utf8.count <= PeerFrameFormat.reasonBytesMax
            ? reason : String(reason.prefix(PeerFrameFormat.reasonBytesMax / 4))
    }
}
