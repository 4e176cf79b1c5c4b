import Hummingbird
import Logging
import NIOCore

/// What a request comes with.
struct HTTPContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection; none in tests without one.
    let channel: (any Channel)?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
