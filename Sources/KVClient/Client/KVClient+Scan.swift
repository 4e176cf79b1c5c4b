import Foundation

/// Which keys a scan reads.
public struct ScanQuery: Sendable, Equatable {
    /// Only keys that start with this.
    public var prefix: [UInt8]
    /// The first key, inclusive; empty for the start.
    public var start: [UInt8]
    /// The end, exclusive; nil for no end.
    public var end: [UInt8]?
    /// How many keys a page holds at most, 1 … 10,000.
    public var pageSize: Int
    /// Whether to go from the end to the start.
    public var isReversed: Bool
    /// Whether values are left out.
    public var keysOnly: Bool
    /// How fresh a page must be.
    public var consistency: KVClient.Consistency

    /// A scan of these keys.
    public init(
        prefix: [UInt8] = [],
        start: [UInt8] = [],
        end: [UInt8]? = nil,
        pageSize: Int = 1000,
        isReversed: Bool = false,
        keysOnly: Bool = false,
        consistency: KVClient.Consistency = .linearizable
    ) {
        self.prefix = prefix
        self.start = start
        self.end = end
        self.pageSize = pageSize
        self.isReversed = isReversed
        self.keysOnly = keysOnly
        self.consistency = consistency
    }
}

/// A page of a scan, in key order.
public struct ScanPage: Sendable, Equatable {
    /// A key with what belongs to it.
    public struct Row: Sendable, Equatable {
        /// The key.
        public var key: [UInt8]
        /// The value; empty where only keys were asked for.
        public var value: [UInt8]
        /// The key's version, 0 where the node does not say.
        public var version: UInt64
        /// When it expires, in milliseconds since 1970; 0 for never.
        public var expiresAt: UInt64

        /// A row with these parts.
        public init(key: [UInt8], value: [UInt8], version: UInt64 = 0, expiresAt: UInt64 = 0) {
            self.key = key
            self.value = value
            self.version = version
            self.expiresAt = expiresAt
        }
    }

    /// The rows.
    public var rows: [Row]
    /// Where the next page starts; nil after the last.
    public var cursor: String?

    /// A page with these parts.
    public init(rows: [Row], cursor: String?) {
        self.rows = rows
        self.cursor = cursor
    }
}

extension KVClient {
    /// One page of keys in key order: the first, or the one that a page's `cursor` leads to.
    ///
    /// A page is linearizable within each shard at its own moment; there is no snapshot across shards or pages.
    /// - Throws: `ClientError`.
    public func scan(_ query: ScanQuery, cursor: String? = nil) async throws(ClientError) -> ScanPage {
        guard (1...10_000).contains(query.pageSize) else {
            throw .invalidArgument("a page of \(query.pageSize) keys; 1 to 10000 can be had")
        }
        var path = "/v1/kv?limit=\(query.pageSize)"
        func add(_ name: String, _ bytes: [UInt8]) { path += "&\(name)=\(HTTPAccess.percentEncoded(bytes))" }
        if !query.prefix.isEmpty { add("prefix", query.prefix) }
        if !query.start.isEmpty { add("start", query.start) }
        if let end = query.end { add("end", end) }
        if query.keysOnly { path += "&keys_only=true" }
        if query.isReversed { path += "&reverse=true" }
        if query.consistency != .linearizable { path += "&consistency=\(query.consistency.rawValue)" }
        if let cursor { add("cursor", Array(cursor.utf8)) }
        let answer = try await http.read(path)
        guard answer.status == 200 else { throw .httpStatus(answer.status, message: HTTPAccess.message(answer)) }
        do {
            return try JSONDecoder().decode(ListingBody.self, from: Data(answer.body)).page
        } catch {
            throw .protocolViolation("the listing is not as expected: \(error)")
        }
    }
}

extension KVClient {
    /// A key's value by a listing that starts at it and holds one row.
    func getByListing(_ key: [UInt8], _ consistency: Consistency) async throws(ClientError) -> [UInt8]? {
        let page = try await scan(ScanQuery(start: key, end: key + [0], pageSize: 1, consistency: consistency))
        return page.rows.first { $0.key == key }?.value
    }
}

/// The JSON of `GET /v1/kv`: keys and values in base64, read leniently as to names that came later.
private struct ListingBody: Decodable {
    struct Item: Decodable {
        let row: ScanPage.Row

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: MemberName.self)
            let key = try container.decode(Data.self, forKey: MemberName("key"))
            let value = try container.decodeIfPresent(Data.self, forKey: MemberName("value"))
            row = ScanPage.Row(
                key: Array(key),
                value: value.map { Array($0) } ?? [],
                version: container.number("version"),
                expiresAt: container.number("expiresAt")
            )
        }
    }

    let page: ScanPage

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: MemberName.self)
        let name = ["items", "rows", "entries", "keys"].first { container.contains(MemberName($0)) } ?? "items"
        let items = try container.decode([Item].self, forKey: MemberName(name))
        let cursor = container.text("cursor")
        page = ScanPage(rows: items.map(\.row), cursor: cursor?.isEmpty == true ? nil : cursor)
    }
}
