import Glibc
import KVConfiguration
import NIOCore

/// Why the program does not start: one line with what to do.
struct StartError: Error, CustomStringConvertible {
    let description: String

    /// Anything else.
    init(_ description: String) { self.description = description }

    /// A listener cannot be opened.
    init(_ listener: String, _ address: HostPort, _ error: any Error) {
        let system = error as? IOError
        let advice =
            switch system?.errnoCode {
            case EADDRINUSE: "the port is in use: stop what listens there, or set \(listener).listen to another"
            case EACCES: "not permitted: set \(listener).listen to a port from 1024 on"
            case EADDRNOTAVAIL: "this machine has no such address: set \(listener).listen to one of its own"
            default: "\(error): check \(listener).listen"
            }
        description = "cannot listen at \(address) for \(listener): \(advice)"
    }
}
