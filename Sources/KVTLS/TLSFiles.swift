/// Where a node's certificates are.
package struct TLSFiles: Sendable, Equatable {
    /// The node's certificate and those between it and the authority's, in PEM.
    package var certificate: String
    /// Its private key, in PEM.
    package var key: String
    /// The certificates by which other nodes are believed, in PEM; nil where nobody is.
    package var authority: String?

    /// Files at these paths.
    package init(certificate: String, key: String, authority: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
    }
}

/// Why TLS cannot begin: which file, and what is wrong with it.
package struct TLSError: Error, Sendable, CustomStringConvertible {
    /// A sentence for a person.
    package let description: String

    init(_ description: String) { self.description = description }
}
