import FoundationEssentials
import GRPCCore
import KVService

/// A listing: pages of the service one after the other, in messages of a bounded size.
///
/// A page is read only when what came before it has gone to the client, so that one who does not read costs one page.
struct Listing: Sendable {
    private var scan: ScanRequest
    /// How many keys are still wanted; nil for all.
    private var left: UInt64?
    private let pageLimit: Int
    private let messageBytes: Int

    init(
        _ message: Kv_V1_ScanRequest,
        _ reader: RequestReader,
        _ settings: GRPCSettings
    ) throws(GRPCFailure) {
        pageLimit = settings.scanPageLimit
        messageBytes = settings.scanMessageBytes
        // One byte more than a key: where a listing goes on is a key with a zero byte at its end.
        let bytesMax = reader.limits.keyBytesMax + 1
        for (name, bytes) in [("prefix", message.prefix), ("start", message.start), ("end", message.end)] {
            guard bytes.count <= bytesMax else {
                throw .badRequest("'\(name)' has \(bytes.count) bytes; the limit is \(bytesMax)")
            }
        }
        scan = ScanRequest(
            start: [UInt8](message.start),
            end: message.hasEnd ? [UInt8](message.end) : nil,
            prefix: [UInt8](message.prefix),
            isReversed: message.reverse,
            keysOnly: message.keysOnly,
            consistency: try reader.consistency(message.consistency)
        )
        left = message.limit == 0 ? nil : message.limit
    }

    /// Sends all pages.
    func run(
        _ call: OneCall,
        _ writer: RPCWriter<Kv_V1_ScanResponse>,
        isOver: @Sendable () -> Bool
    ) async throws {
        var (scan, left) = (scan, left)
        while true {
            scan.limit = left.map { Int(min($0, UInt64(pageLimit))) } ?? pageLimit
            let page: ScanPage
            do throws(ServiceError) {
                page = try await call.session.scan(scan)
            } catch {
                throw GRPCFailure(error)
            }
            if isOver() { throw call.endedEarly }
            try await send(page.rows, writer)
            if let wanted = left {
                left = wanted - min(wanted, UInt64(page.rows.count))
                if left == 0 { return }
            }
            guard page.hasMore, let last = page.rows.last else { return }
            if scan.isReversed { scan.end = last.key } else { scan.start = last.key + [0] }
        }
    }

    private func send(_ rows: [ScanPage.Row], _ writer: RPCWriter<Kv_V1_ScanResponse>) async throws {
        var message = Kv_V1_ScanResponse()
        var bytes = 0
        for row in rows {
            var sent = Kv_V1_ScanResponse.Row()
            sent.key = Data(row.key)
            if !row.value.isEmpty { sent.value = Data(row.value) }
            sent.version = row.version
            sent.expiresAtMilliseconds = row.expiresAt
            message.rows.append(sent)
            bytes += row.key.count + row.value.count + 32
            guard bytes >= messageBytes else { continue }
            try await writer.write(message)
            (message, bytes) = (Kv_V1_ScanResponse(), 0)
        }
        if !message.rows.isEmpty { try await writer.write(message) }
    }
}
