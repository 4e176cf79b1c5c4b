import HTTPTypes
import KVBase
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Says why a request that is no HTTP is refused, in the one shape of errors: the library's own answer is a 400 without a body.
///
/// On its channel's event loop only.
final class MalformedRequest: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let metrics: HTTPMetrics
    private var reason: String?

    init(_ metrics: HTTPMetrics) { self.metrics = metrics }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError { reason = Self.reason(error) }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard let reason, case .head(var head) = Self.unwrapOutboundIn(data), head.status == .badRequest,
            head.headerFields[.contentLength] == "0"
        else { return context.write(data, promise: promise) }
        self.reason = nil
        let failure = HTTPFailure.badRequest(reason)
        metrics.reject(failure.code)
        let requestID = hexadecimal(UInt64.random(in: 0 ... .max))
        let body = ByteBuffer(string: failure.json(requestID: requestID) + "\n")
        head.headerFields[.contentType] = "application/json"
        head.headerFields[.contentLength] = String(body.readableBytes)
        head.headerFields[.requestID] = requestID
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        context.write(Self.wrapOutboundOut(.body(body)), promise: promise)
    }

    private static func reason(_ error: HTTPParserError) -> String {
        switch error {
        case .headerOverflow: "the request line or the headers are over 80 KiB"
        case .invalidMethod: "the method is none that HTTP knows"
        case .invalidURL, .invalidPath, .invalidHost, .invalidPort, .invalidQueryString, .invalidFragment:
            "the target has bytes that must be percent-encoded"
        case .invalidContentLength: "Content-Length is no number, or too large a one"
        case .unexpectedContentLength: "Content-Length is said twice, or with Transfer-Encoding"
        case .invalidChunkSize: "a chunk's size is no hexadecimal number"
        case .invalidHeaderToken, .invalidCharactersUsed: "a header has bytes that it may not have"
        case .invalidVersion: "the version of HTTP is none that is known"
        case .invalidEOFState, .closedConnection: "the request ends before its end"
        default: "this is no HTTP/1.1 request"
        }
    }
}
