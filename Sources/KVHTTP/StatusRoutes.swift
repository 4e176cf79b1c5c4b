import Hummingbird
import KVBase
import KVService

extension HTTPEdge {
    func digest() async throws(HTTPFailure) -> Response {
        let digests = try await serve { service throws(ServiceError) in try await service.digest() }
        var json = JSONText()
        json.object {
            $0.key("digests")
            $0.array(digests) { json, digest in
                json.object {
                    $0.field("group", digest.group.description)
                    $0.field("shard", digest.shard.description)
                    $0.field("appliedIndex", digest.appliedIndex)
                    $0.field("keys", digest.keys)
                    $0.field("hash", hexadecimal(digest.hash))
                }
            }
        }
        return self.json(.ok, json.text)
    }

    /// 200 where the node serves, 503 with the reasons where it does not.
    func health() async -> Response {
        let status = await service.status()
        var json = JSONText()
        json.object {
            $0.field("ready", status.isReady)
            $0.key("alarms")
            $0.array(isKnown ? status.alarms : []) { $0.string($1) }
        }
        var response = self.json(status.isReady ? .ok : .serviceUnavailable, json.text)
        if !status.isReady { response.headers[.retryAfter] = "1" }
        return response
    }
}

extension NodeStatus {
    /// The node's standing as `/status` shows it: ids are strings.
    var json: String {
        var json = JSONText()
        json.object {
            $0.field("node", node.description)
            $0.field("cluster", cluster.description)
            $0.field("incarnation", incarnation.description)
            $0.field("version", softwareVersion)
            $0.field("ready", isReady)
            if isRemoved { $0.field("removed", true) }
            $0.key("alarms")
            $0.array(alarms) { $0.string($1) }
            $0.key("groups")
            $0.array(groups) { $1.write(to: &$0) }
            $0.key("peers")
            $0.array(peers) { json, peer in
                json.object {
                    $0.field("id", peer.id.description)
                    $0.field("connected", peer.isConnected)
                    $0.key("addresses")
                    $0.object { json in
                        for (edge, address) in peer.addresses.sorted(by: { $0.key < $1.key }) {
                            json.field(edge, address)
                        }
                    }
                }
            }
            $0.key("storage")
            $0.object {
                $0.field("flushes", storage.flushes)
                $0.field("compactions", storage.compactions)
                $0.field("logCuts", storage.logCuts)
                $0.field("tables", storage.tables)
                $0.field("tableBytes", storage.tableBytes)
                $0.field("snapshotsInstalled", storage.snapshotsInstalled)
            }
        }
        return json.text
    }
}

extension NodeStatus.Group {
    fileprivate func write(to json: inout JSONText) {
        json.object {
            $0.field("id", id.description)
            $0.field("replica", replica.description)
            $0.field("role", "\(role)")
            $0.field("term", term)
            if let leader { $0.field("leader", leader.description) } else { $0.null("leader") }
            $0.field("commitIndex", commitIndex)
            $0.field("appliedIndex", appliedIndex)
            $0.field("firstIndex", firstIndex)
            $0.field("lastIndex", lastIndex)
            $0.field("logBytes", logBytes)
            $0.key("lag")
            $0.object { json in
                for (node, entries) in lag.sorted(by: { $0.key < $1.key }) { json.field(node.description, entries) }
            }
            $0.key("shards")
            $0.array(shards) { $0.string($1.description) }
        }
    }
}
