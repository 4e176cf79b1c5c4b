import Glibc

/// The longest file of certificates that is read.
private let fileBytesMax = 1 << 20

/// All bytes of a file of certificates or keys.
/// - Throws: `TLSError` where it cannot be read or is too long.
func readFile(_ path: String) throws(TLSError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TLSError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
        let count = Glibc.read(descriptor, &part, part.count)
        guard count >= 0 else { throw TLSError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
        if count == 0 { return bytes }
        bytes += part.prefix(count)
        guard bytes.count <= fileBytesMax else { throw TLSError("\(path) is over \(fileBytesMax) bytes") }
    }
}
