import Synchronization

/// The service as one client may use it: the one place where permissions are checked, whatever the edge and the command.
///
/// An edge makes one for each connection (or request), tells it who the client proved to be, and serves the client through it
/// alone. Transactions, sessions and requests that take effect once are looked into; a listing shows only keys that may be read.
/// Requests are checked where they arrive, before they are sent on to another node. Where nobody is asked who they are, or
/// the client may do everything with every key, a batch is passed on unread.
///
/// Any thread. A change of users is seen by the next call.
package final class ClientSession: KeyValueService {
    private struct State {
        var principal: Principal?
        var generation: UInt64 = 0
    }

    private let service: any KeyValueService
    private let control: AccessControl?
    private let state = Mutex(State())

    /// A session of a client who has not proved anything yet; without `control` nobody is asked.
    package init(_ service: any KeyValueService, _ control: AccessControl?) {
        self.service = service
        self.control = control
    }

    /// The client has proved to be this.
    package func begin(as principal: Principal?) {
        state.withLock { $0 = State(principal: principal, generation: 0) }
    }

    /// What the client is, as far as the service goes.
    private enum Standing {
        case free
        case locked
        case limited(Principal)
    }

    private var standing: Standing {
        guard let control, control.isRequired else { return .free }
        guard let principal = currentPrincipal(control) else { return .locked }
        return principal.isAdministrator ? .free : .limited(principal)
    }

    private func currentPrincipal(_ control: AccessControl) -> Principal? {
        let generation = control.generation
        return state.withLock { state in
            guard let known = state.principal else { return nil }
            guard state.generation != generation else { return known }
            state.principal = control.renewed(known)
            state.generation = generation
            return state.principal
        }
    }

    /// Whether the client must prove who it is before it is served.
    package var isLocked: Bool {
        guard let control, control.isRequired else { return false }
        return currentPrincipal(control) == nil
    }

    /// Whether the client may administer.
    package var isAdministrator: Bool {
        guard let control, control.isRequired else { return true }
        return currentPrincipal(control)?.isAdministrator == true
    }

    /// Who the client is, for logs; `default` where nobody asked.
    package var name: String {
        guard let control else { return "default" }
        return currentPrincipal(control)?.name ?? "default"
    }

    private static let lockedError = ServiceError(.unauthenticated, "prove who you are first")
    private static let deniedError = ServiceError(
        .permissionDenied,
        "this user may not do that with one of the keys of the request"
    )

    private static func administratorsOnly(_ what: String) -> ServiceError {
        ServiceError(.permissionDenied, "only administrators may \(what)")
    }

    // MARK: KeyValueService

    package func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink) {
        switch standing {
        case .free: service.submit(batch, to: sink)
        case .locked: for item in batch.items { sink.complete(item.tag, .failed(Self.lockedError)) }
        case .limited(let principal): submit(batch, to: sink, as: principal)
        }
    }

    private func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink, as principal: Principal) {
        let items = batch.items
        if principal.isUnrestricted, !items.contains(where: { $0.operation == .clear }) {
            return service.submit(batch, to: sink)
        }
        let allowed = batch.bytes.withUnsafeBytes { bytes in
            items.map { item in
                let start = Int(item.offset)
                let view = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))])
                guard let request = try? Request(view, from: .logged), !request.operation.isInternal else {
                    return false
                }
                return request.isAllowed(to: principal)
            }
        }
        if allowed.allSatisfy({ $0 }) { return service.submit(batch, to: sink) }
        var rest = RequestBatch()
        var denied: [UInt64] = []
        batch.bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < items.count {
                // What joins takes effect together or not at all.
                var end = start + 1
                while end < items.count, items[end].joinsPrevious { end += 1 }
                let isAllowed = allowed[start..<end].allSatisfy { $0 }
                for place in start..<end {
                    let item = items[place]
                    guard isAllowed else {
                        denied.append(item.tag)
                        continue
                    }
                    let view = UnsafeRawBufferPointer(
                        rebasing: bytes[Int(item.offset)..<(Int(item.offset) + Int(item.length))]
                    )
                    rest.append(view, like: item, tag: item.tag, joinsPrevious: item.joinsPrevious)
                }
                start = end
            }
        }
        for tag in denied { sink.complete(tag, .failed(Self.deniedError)) }
        if !rest.items.isEmpty { service.submit(rest, to: sink) }
    }

    package func scan(
        _ request: ScanRequest,
        completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void
    ) {
        switch standing {
        case .free: service.scan(request, completion: completion)
        case .locked: completion(.failure(Self.lockedError))
        case .limited(let principal):
            let prefixes = principal.readablePrefixes.compactMap { allowed -> [UInt8]? in
                if request.prefix.starts(with: allowed) { return request.prefix }
                return allowed.starts(with: request.prefix) ? allowed : nil
            }
            let order = request.isReversed ? prefixes.reversed() : prefixes
            scan(request, order[...], ScanPage(rows: [], hasMore: false), completion)
        }
    }

    /// Reads what may be read of a page, one prefix after the other, and so in key order.
    private func scan(
        _ request: ScanRequest,
        _ prefixes: ArraySlice<[UInt8]>,
        _ found: ScanPage,
        _ completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void
    ) {
        guard let prefix = prefixes.first else { return completion(.success(found)) }
        // Whether the rest has a key is not worth a read: the next page tells.
        guard found.rows.count < request.limit else {
            return completion(.success(ScanPage(rows: found.rows, hasMore: true)))
        }
        var part = request
        part.prefix = prefix
        part.limit = request.limit - found.rows.count
        service.scan(part) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let page):
                let rows = found.rows + page.rows
                if page.hasMore { return completion(.success(ScanPage(rows: rows, hasMore: true))) }
                scan(request, prefixes.dropFirst(), ScanPage(rows: rows, hasMore: false), completion)
            }
        }
    }

    package func count(
        _ consistency: Consistency,
        completion: @escaping @Sendable (Result<UInt64, ServiceError>) -> Void
    ) {
        switch standing {
        case .free: service.count(consistency, completion: completion)
        case .locked: completion(.failure(Self.lockedError))
        case .limited(let principal):
            guard principal.readablePrefixes == [[]] else {
                return completion(
                    .failure(ServiceError(.permissionDenied, "only who may read all keys may count them"))
                )
            }
            service.count(consistency, completion: completion)
        }
    }

    package func keepScanPosition(_ key: [UInt8]) -> UInt64 { service.keepScanPosition(key) }

    package func scanPosition(
        _ cursor: UInt64,
        completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void
    ) {
        // A place, not a key: what is read from there on is narrowed as every listing is.
        if isLocked {
            completion(.failure(Self.lockedError))
        } else {
            service.scanPosition(cursor, completion: completion)
        }
    }

    package func submit(_ request: ShardRequest, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void) {
        if isLocked { return completion(.failure(Self.lockedError)) }
        if request == .clear, !isAdministrator {
            return completion(.failure(Self.administratorsOnly("remove all keys")))
        }
        service.submit(request, completion: completion)
    }

    package func status(completion: @escaping @Sendable (NodeStatus) -> Void) { service.status(completion: completion) }

    package func slowRequests(completion: @escaping @Sendable ([SlowRequest]) -> Void) {
        // They name keys.
        if isAdministrator { service.slowRequests(completion: completion) } else { completion([]) }
    }

    package func digest(completion: @escaping @Sendable (Result<[ShardDigest], ServiceError>) -> Void) {
        guard isAdministrator else { return completion(.failure(Self.administratorsOnly("read digests"))) }
        service.digest(completion: completion)
    }

    package var requestLimits: RequestLimits { service.requestLimits }
}
