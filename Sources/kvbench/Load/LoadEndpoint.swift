import Glibc

/// A place that serves the Redis protocol, resolved.
struct LoadEndpoint: Sendable {
    let name: String
    /// A socket address as the kernel takes it.
    let address: [UInt8]
    let family: Int32

    /// Resolves `host:port`, or `[v6]:port`.
    /// - Throws: what is wrong with the text, or that the name is unknown.
    init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            throw BenchmarkError("'\(text)' is no endpoint; expected HOST:PORT")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        guard code == 0, let first = found?.pointee, let address = first.ai_addr else {
            throw BenchmarkError("cannot resolve '\(host)': \(String(cString: gai_strerror(code)))")
        }
        name = text
        family = first.ai_family
        self.address = [UInt8](UnsafeRawBufferPointer(start: address, count: Int(first.ai_addrlen)))
    }

    /// A socket that begins to connect; nil where the system refuses at once.
    func connect() -> Int32? {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { return nil }
        var isOn: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
        let code = address.withUnsafeBytes { bytes in
            bytes.baseAddress.map {
                Glibc.connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            } ?? -1
        }
        guard code == 0 || errno == EINPROGRESS else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}
