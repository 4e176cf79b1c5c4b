// What `/openapi.json` answers: the interface for programs, as OpenAPI 3.1 describes one. The paths are in OpenAPIPaths.swift,
// OpenAPINodePaths.swift and OpenAPIMemberPaths.swift, one string for each kind of routes, what they share in
// OpenAPIComponents.swift.
//
// Tests hold it against a public validator, its paths against the routes, and the answers of a running server against it.

/// The description as JSON.
let openAPIDescription = """
    {
      "openapi": "3.1.0",
      "info": {
        "title": "kvnode",
        "version": "1",
        "description": "A replicated key-value store. Keys are bytes, percent-decoded once; values are bytes."
      },
      "servers": [{"url": "/"}],
      "security": [{}, {"basic": []}, {"token": []}],
      "tags": [{"name": "keys"}, {"name": "sessions"}, {"name": "node"}, {"name": "administration"}],
      "paths": {
    \([openAPIKeyPaths, openAPISessionPaths, openAPINodePaths, openAPIOperatorPaths, openAPIMemberPaths, openAPIUserPaths].joined(separator: ",\n"))
      },
    \(openAPIComponents)
    }
    """
