import Foundation
import KVClient

/// Writes, reads, counts and lists on the local cluster: `make run` in one terminal, `swift run` here in another.
///
/// With KV_CA, KV_USER and KV_PASSWORD in the environment it talks to the closed cluster of config/secure.
@main
struct Quickstart {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        var configuration = KVClient.Configuration(
            endpoints: [6401, 6402, 6403].map { Endpoint(host: "127.0.0.1", port: $0) },
            httpEndpoints: [8081, 8082, 8083].map { Endpoint(host: "127.0.0.1", port: $0) }
        )
        if let authority = environment["KV_CA"] { configuration.tls = try ClientTLS(authorityFile: authority) }
        if let user = environment["KV_USER"], let password = environment["KV_PASSWORD"] {
            configuration.credentials = .password(user: user, password: password)
        }
        let client = KVClient(configuration)

        try await client.put("quickstart/greeting", "hello", timeToLive: .seconds(60))
        let greeting = try await client.get("quickstart/greeting")
        print(String(decoding: greeting ?? [], as: UTF8.self))

        // Many at once share one connection.
        let sums = try await withThrowingTaskGroup(of: Int64.self) { group in
            for _ in 0..<10 { group.addTask { try await client.increment("quickstart/count") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        print("counted to \(sums.max() ?? 0)")

        do {
            try await client.put("quickstart/once", "v")
        } catch  where error.isOutcomeUnknown {
            print("the write may or may not have taken effect: read before a retry")
        }
        let page = try await client.scan(ScanQuery(prefix: Array("quickstart/".utf8)))
        for row in page.rows { print(String(decoding: row.key, as: UTF8.self), row.value.count, "bytes") }
        await client.shutdown()
    }
}
