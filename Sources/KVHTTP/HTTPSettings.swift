/// What bounds an HTTP listener.
package struct HTTPSettings: Sendable {
    /// How long a connection may be idle between requests.
    package var idleTimeout: Duration = .seconds(60)
    /// How long a request's body may take to arrive.
    package var bodyTimeout: Duration = .seconds(30)
    /// How long a client may leave an answer unread.
    package var writeTimeout: Duration = .seconds(60)
    /// The origins whose pages may call from a browser; `*` is any.
    package var crossOrigins: [String] = []
    /// Whether `GET /put`, `/get` and `/delete` with the key in the query are served, for load tools that can only send GET.
    package var queryRoutes = false
    /// How clients reach the other nodes' listeners for HTTP: `http` or `https`.
    package var scheme = "http"
    /// How many connections may be open at once; further ones wait in the listen queue.
    package var connectionsMax = 10_000
    /// From how many nanoseconds on a request is logged as slow, with its id; 0 for never.
    package var slowNanoseconds: UInt64 = 0
    /// For how long the text of a scrape is given again, so that a storm of scrapes costs little.
    package var scrapeLifetime: Duration = .zero
    /// How many keys a page has unless asked for otherwise.
    package var pageLimitDefault = 100
    /// How many keys a page has at most.
    package var pageLimitMax = 10_000

    /// Settings with the defaults.
    package init() {}
}
