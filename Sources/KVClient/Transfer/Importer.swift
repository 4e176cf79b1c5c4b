import Foundation
public import NIOCore
import NIOPosix

/// Imports a file of records: reads it in constant memory, keeps many `SET`s in flight on a connection to each endpoint, and
/// acknowledges a record only when a node has.
///
/// 1. A thread reads and parses; another, the import's own, holds all state (`ImportLedger`, `ImportLane`) and hands each
///    connection as many records in one write as it has room for. Replies come back in batches; there is no task for a record.
/// 2. A record that a node could not serve, or whose connection ended before the answer, is sent again, over whichever
///    connection has room. That is safe because a plain `SET` of the same key and value may take effect twice, and the import owns its
///    keys: do not write the same keys from elsewhere meanwhile. Records of one key are stored in the file's order, one at a
///    time. (One limit: a request that is lost with its connection, lies in a node for seconds, and then still takes effect,
///    could put back an older value of a key that the file has more than once. Only sessions rule that out.)
/// 3. A record that a node refuses (too long, say) is reported and passed over. Without any acknowledgement for `giveUpAfter` the import gives
///    up and reports exactly what was not acknowledged.
/// 4. Where everything up to a record is settled, the state file says so, synced about once a second, together with a checksum
///    of those records: a resumed import reads over them and goes on behind.
public final class Importer: Sendable {
    private let endpoints: [Endpoint]
    private let options: ImportOptions
    private let source: any ByteSource
    private let group: any EventLoopGroup
    private let progress: @Sendable (ImportProgress) -> Void
    private let mailbox = Mailbox<ImportRun.Event>()

    /// An import over these endpoints.
    ///
    /// `progress` is called about every 100 ms, on the import's thread.
    public init(
        endpoints: [Endpoint],
        source: any ByteSource,
        options: ImportOptions,
        eventLoopGroup: (any EventLoopGroup)? = nil,
        progress: @escaping @Sendable (ImportProgress) -> Void = { _ in }
    ) {
        self.endpoints = endpoints
        self.source = source
        self.options = options
        self.progress = progress
        group = eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
    }

    /// Runs it to the end.
    ///
    /// A summary that is not complete says what is missing.
    /// - Throws: `ImportError` where nothing was sent, or a file of the import itself can not be written.
    public func run() async throws(ImportError) -> ImportSummary {
        let result: Result<ImportSummary, ImportError> = await withCheckedContinuation { continuation in
            let thread = Thread { [self] in
                do throws(ImportError) {
                    var run = try ImportRun(
                        endpoints: endpoints,
                        source: source,
                        options: options,
                        group: group,
                        mailbox: mailbox,
                        progress: progress
                    )
                    continuation.resume(returning: .success(try run.run()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            thread.name = "import"
            thread.start()
        }
        return try result.get()
    }

    /// Stops sending, as soon as can be; `run` then reports what was not acknowledged.
    public func stop(_ why: String = "stopped") {
        mailbox.post(.stop(why))
    }
}
