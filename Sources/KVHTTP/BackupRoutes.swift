import HTTPTypes
import Hummingbird
import KVBase
import KVService
import NIOCore

// Backups: what `kvctl snapshot` uses. docs/operations/backup.md
//
//     POST   /admin/v1/snapshots?fence=                    cuts every group that owns shards and says what there is to read
//     GET    /admin/v1/snapshots/{id}?path=&offset=&count= a piece of a file: u32 CRC32C of the rest (little-endian) · bytes
//     DELETE /admin/v1/snapshots/{id}                      ends it
//     GET    /admin/v1/log?group=&from=&count=             applied entries: u32 CRC32C of the rest · u64 last · u64 applied · entries

extension HTTPEdge {
    private static let pieceBytes = 4 << 20

    /// Whether a path is one of these, and as what metrics know it.
    func backupEndpoint(_ path: Substring) -> Endpoint? {
        switch path {
        case "/admin/v1/snapshots": return .snapshots
        case "/admin/v1/log": return .log
        default: return path.hasPrefix("/admin/v1/snapshots/") ? .snapshot : nil
        }
    }

    /// Answers a request to one of these routes.
    func backUp(
        _ endpoint: Endpoint,
        _ method: HTTPRequest.Method,
        _ target: Target
    ) async throws(HTTPFailure) -> Response {
        guard let backup else { throw HTTPFailure(.notFound, "not_found", "this server makes no backups") }
        switch (endpoint, method) {
        case (.snapshots, .post):
            try target.check(["fence"])
            let fence = try target.flag("fence")
            let made = try await value { backup.beginBackup(fence: fence, completion: $0) }
            return json(.ok, made.json)
        case (.snapshot, .get):
            try target.check(["path", "offset", "count"])
            let (offset, count) = (try number("offset", target) ?? 0, try number("count", target))
            let path = target.text("path") ?? ""
            let piece = try await value {
                backup.readBackup(
                    snapshotID(target),
                    path: path,
                    offset: offset,
                    count: Int(clamping: count ?? UInt64(Self.pieceBytes)),
                    completion: $0
                )
            }
            return binary(piece)
        case (.snapshot, .delete):
            try target.check([])
            try await done { backup.endBackup(snapshotID(target), completion: $0) }
            return json(.ok, "{\"ended\":true}")
        case (.log, .get):
            try target.check(["group", "from", "count"])
            guard let group = UInt32(target.text("group") ?? "1") else { throw .badRequest("'group' is a number") }
            guard let from = try number("from", target) else { throw .badRequest("'from' is missing: an index") }
            let count = try number("count", target)
            let page = try await value {
                backup.readLog(
                    GroupID(group),
                    from: from,
                    bytesMax: Int(clamping: count ?? UInt64(Self.pieceBytes)),
                    completion: $0
                )
            }
            var bytes: [UInt8] = []
            bytes.append(littleEndian: page.last)
            bytes.append(littleEndian: page.applied)
            bytes += page.bytes
            return binary(bytes)
        case (.snapshots, _): throw notAllowed("POST")
        case (.log, _): throw notAllowed("GET")
        default: throw notAllowed("GET, DELETE")
        }
    }

    private func snapshotID(_ target: Target) -> String { String(target.path.dropFirst("/admin/v1/snapshots/".count)) }

    private func number(_ name: String, _ target: Target) throws(HTTPFailure) -> UInt64? {
        guard let text = target.text(name) else { return nil }
        guard let number = UInt64(text) else { throw .badRequest("'\(name)' is '\(text)'; it is a number") }
        return number
    }

    private func binary(_ bytes: [UInt8]) -> Response {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(bytes.count + 4)
        buffer.writeInteger(CRC32C.checksum(bytes), endianness: .little)
        buffer.writeBytes(bytes)
        return Response(
            status: .ok,
            headers: [.contentType: "application/octet-stream"],
            body: ResponseBody(byteBuffer: buffer)
        )
    }
}

extension BackupDescription {
    fileprivate var json: String {
        var json = JSONText()
        json.object {
            $0.field("id", id)
            $0.field("cluster", cluster.description)
            $0.field("node", node.description)
            $0.field("incarnation", incarnation.description)
            $0.field("shardCount", shardCount)
            $0.field("fenced", isFenced)
            $0.key("groups")
            $0.array(groups) { json, group in
                json.object {
                    $0.field("group", group.id.rawValue)
                    $0.field("index", group.index)
                    $0.field("term", group.term)
                    $0.key("tablets")
                    $0.array(group.tablets) { $1.write(to: &$0) }
                }
            }
        }
        return json.text
    }
}

extension BackupDescription.Tablet {
    fileprivate func write(to json: inout JSONText) {
        json.object {
            $0.field("shard", shard.rawValue)
            $0.field("epoch", epoch.rawValue)
            $0.field("directory", directory)
            $0.field("appliedIndex", appliedIndex)
            $0.field("revision", revision)
            $0.field("loggedTimeMs", loggedTime)
            $0.field("chainedHash", hexadecimal(chainedHash))
            $0.key("files")
            $0.array(files) { json, file in
                json.object {
                    $0.field("name", file.name)
                    $0.field("size", file.size)
                }
            }
        }
    }
}
