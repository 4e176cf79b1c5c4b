import Foundation
import KVClient

/// Writes, reads, counts and lists on the local cluster: `make run` in one terminal, `swift run` here in another.
///
/// KV_ENDPOINTS and KV_HTTP_ENDPOINTS name another one; with KV_CA, KV_USER and KV_PASSWORD it talks to the closed cluster of
/// config/secure. scripts/check-quickstart builds it and runs it.
@main
struct Quickstart {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        var configuration = KVClient.Configuration(
            endpoints: endpoints(environment["KV_ENDPOINTS"] ?? "127.0.0.1:6401,127.0.0.1:6402,127.0.0.1:6403"),
            httpEndpoints: endpoints(environment["KV_HTTP_ENDPOINTS"] ?? "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083")
        )
        if let authority = environment["KV_CA"] { configuration.tls = try ClientTLS(authorityFile: authority) }
        if let user = environment["KV_USER"], let password = environment["KV_PASSWORD"] {
            configuration.credentials = .password(user: user, password: password)
        }
        let client = KVClient(configuration)

        try await client.put("quickstart/greeting", "hello", timeToLive: .seconds(60))
        let greeting = try await client.get("quickstart/greeting")
        print(String(decoding: greeting ?? [], as: UTF8.self))

        // Many at once share one connection. Each is counted once, also where a node dies meanwhile: the client repeats a write
        // under its number, and nodes do each number once.
        try await client.delete("quickstart/count")
        let sums = try await withThrowingTaskGroup(of: Int64.self) { group in
            for _ in 0..<10 { group.addTask { try await client.increment("quickstart/count") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        print("counted to \(sums.max() ?? 0)")

        do {
            try await client.put("quickstart/once", "v")
        } catch  where error.isOutcomeUnknown {
            print("no node answered in time: read before you write again")
        }
        let page = try await client.scan(ScanQuery(prefix: Array("quickstart/".utf8)))
        for row in page.rows { print(String(decoding: row.key, as: UTF8.self), row.value.count, "bytes") }
        await client.shutdown()
    }

    private static func endpoints(_ text: String) -> [Endpoint] {
        text.split(separator: ",").compactMap { Endpoint(String($0)) }
    }
}
