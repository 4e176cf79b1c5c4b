import KVBase
import Synchronization

/// Hashes passwords slowly, and tells whether one is that of a hash.
///
/// Any thread; takes tens of milliseconds and megabytes on purpose.
package protocol PasswordHashing: Sendable {
    /// A new hash with a salt of its own, in the form of crypt(5); nil where the system cannot.
    func hash(_ password: [UInt8]) -> String?
    /// Whether a hash was made of this password.
    func verify(_ password: [UInt8], against hash: String) -> Bool
}

/// Finds out whether clients are who they say.
///
/// 1. A name and password that were proven before, and have not changed since, are in a cache: no slow hash for each HTTP request.
///    The cache holds keyed digests, by a key that this process drew.
/// 2. Else, where the address and the name have not failed too often, the slow hash is computed on a pool, of which a bounded
///    number waits. A name that does not exist costs the same time.
/// 3. A token's secret is long and random: its digest is compared, in constant time.
///
/// Any thread.
package final class Authenticator: Sendable {
    /// What bounds it.
    package struct Settings: Sendable {
        /// How many slow hashes may wait or run at once.
        package var pendingMax = 64
        /// How many proven credentials are remembered.
        package var provenMax = 4_096
        /// How many failures of an address or a name are free.
        package var failuresMax = 10
        /// After how long one more is, in nanoseconds.
        package var failureInterval: UInt64 = 2_000_000_000

        /// Settings with the defaults.
        package init() {}
    }

    private struct State {
        var proven: Set<[UInt8]> = []
        var order: [[UInt8]] = []
        var limiter: AttemptLimiter
        var pending = 0
    }

    /// The users.
    package let control: AccessControl
    private let hasher: any PasswordHashing
    private let pool: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let now: @Sendable () -> UInt64
    private let key: [UInt8]
    private let settings: Settings
    private let state: Mutex<State>
    /// What is compared where there is nobody of that name; made when it is first needed, on the pool.
    private let decoy = Mutex<String?>(nil)

    /// An authenticator over these users.
    ///
    /// `pool` runs a job on a thread that may take its time; `now` is a monotonic clock in nanoseconds; `key` is 32 random bytes.
    package init(
        _ control: AccessControl,
        hasher: any PasswordHashing,
        settings: Settings = Settings(),
        key: [UInt8],
        now: @escaping @Sendable () -> UInt64,
        pool: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.control = control
        self.hasher = hasher
        self.settings = settings
        self.key = key
        self.now = now
        self.pool = pool
        let limits = AttemptLimiter.Settings(burst: settings.failuresMax, interval: settings.failureInterval)
        state = Mutex(State(limiter: AttemptLimiter(limits)))
    }

    /// What a client hears where a name or a password is wrong: never which of them.
    static let refusal = ServiceError(.unauthenticated, "the user name or the password is wrong")

    /// Proves a name by its password.
    ///
    /// `completion` is called once: at once on this thread, or later on the pool's. `address` is who counts the failures.
    package func prove(
        _ name: String,
        password: [UInt8],
        from address: String,
        completion: @escaping @Sendable (Result<Principal, ServiceError>) -> Void
    ) {
        guard password.count <= AccessLimits.passwordBytesMax, name.utf8.count <= AccessLimits.nameBytesMax else {
            return completion(.failure(Self.refusal))
        }
        // Clients of protocols that know passwords alone send a token as one, under its owner's name or none.
        if password.starts(with: AccessToken.beginning) {
            let result = prove(token: String(decoding: password, as: UTF8.self), from: address)
            if case .success(let principal) = result, name != "default", name != principal.name {
                return completion(.failure(Self.refusal))
            }
            return completion(result)
        }
        let user = control.user(name)
        let digest = digest(name, password, user?.credentialVersion ?? 0)
        let keys = ["a:\(address)", "n:\(name)"]
        let isProven = state.withLock { user != nil && $0.proven.contains(digest) }
        if isProven, let user { return completion(.success(Principal(name, user))) }
        guard reserve(keys) else {
            return completion(
                .failure(ServiceError(.overloaded, "too many attempts to authenticate; wait some seconds"))
            )
        }
        pool { [self] in
            let isRight = check(password, user)
            // The user may have changed meanwhile.
            let after = control.user(name)
            let isGood = isRight && after != nil && after?.credentialVersion == user?.credentialVersion
            settle(keys, isGood ? digest : nil)
            if isGood, let after {
                completion(.success(Principal(name, after)))
            } else {
                completion(.failure(Self.refusal))
            }
        }
    }

    /// Proves who has a token.
    package func prove(token text: String, from address: String) -> Result<Principal, ServiceError> {
        let keys = ["a:\(address)"]
        guard state.withLock({ $0.limiter.mayTry(keys, now: now()) }) else {
            return .failure(ServiceError(.overloaded, "too many attempts to authenticate; wait some seconds"))
        }
        if let token = AccessToken(text), let owner = control.owner(ofToken: token.id),
            isEqualInConstantTime(SHA256.digest(token.secret), owner.digest)
        {
            return .success(Principal(owner.name, owner.user))
        }
        state.withLock { $0.limiter.fail(keys, now: now()) }
        return .failure(ServiceError(.unauthenticated, "the token is wrong"))
    }

    /// Makes the slow hash of a new password on the pool; `completion` is called once, there or here.
    package func hash(_ password: [UInt8], completion: @escaping @Sendable (Result<String, ServiceError>) -> Void) {
        if let fault = AccessLimits.fault(ofPassword: password) {
            return completion(.failure(ServiceError(.badRequest, fault)))
        }
        guard reserve([]) else {
            return completion(.failure(ServiceError(.overloaded, "too many passwords are being hashed; try again")))
        }
        pool { [self] in
            let made = hasher.hash(password)
            state.withLock { $0.pending -= 1 }
            let failure = ServiceError(.internalError, "this system's crypt(3) makes no hash")
            completion(made.map { .success($0) } ?? .failure(failure))
        }
    }

    private func reserve(_ keys: [String]) -> Bool {
        state.withLock { state in
            let now = now()
            guard state.pending < settings.pendingMax, state.limiter.mayTry(keys, now: now) else { return false }
            state.pending += 1
            // Counted before it is known, or many tries at once would all pass.
            state.limiter.fail(keys, now: now)
            return true
        }
    }

    private func settle(_ keys: [String], _ proven: [UInt8]?) {
        state.withLock { state in
            state.pending -= 1
            guard let proven else { return }
            state.limiter.forgive(keys, now: now())
            guard state.proven.insert(proven).inserted else { return }
            state.order.append(proven)
            guard state.order.count > settings.provenMax else { return }
            for old in state.order.prefix(settings.provenMax / 2) { state.proven.remove(old) }
            state.order.removeFirst(settings.provenMax / 2)
        }
    }

    private func check(_ password: [UInt8], _ user: AccessUser?) -> Bool {
        if let user, !user.passwordHash.isEmpty { return hasher.verify(password, against: user.passwordHash) }
        let stand = decoy.withLock { $0 } ?? hasher.hash(key.map { $0 | 1 }) ?? ""
        decoy.withLock { $0 = stand }
        _ = hasher.verify(password, against: stand)
        return false
    }

    private func digest(_ name: String, _ password: [UInt8], _ version: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: version)
        bytes.append(lengthPrefixed: Array(name.utf8))
        bytes += password
        return SHA256.authentication(of: bytes, key: key)
    }
}

extension Authenticator {
    /// Proves a name by its password.
    /// - Throws: `unauthenticated`, or `overloaded`.
    package func prove(_ name: String, password: [UInt8], from address: String) async throws(ServiceError) -> Principal
    {
        try await withCheckedContinuation { continuation in
            prove(name, password: password, from: address) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Makes the slow hash of a new password.
    /// - Throws: `badRequest`, `overloaded` or `internalError`.
    package func hash(_ password: [UInt8]) async throws(ServiceError) -> String {
        try await withCheckedContinuation { continuation in
            hash(password) { continuation.resume(returning: $0) }
        }.get()
    }
}

/// A token as its owner holds it: `kv1.<id>.<secret>`, both in hexadecimal, 16 and 64 digits.
package struct AccessToken: Sendable, Equatable {
    static let beginning = Array("kv1.".utf8)

    /// Which token it is.
    package let id: UInt64
    /// 32 random bytes, which nobody but the owner keeps.
    package let secret: [UInt8]

    /// A token with these parts.
    package init(id: UInt64, secret: [UInt8]) {
        self.id = id
        self.secret = secret
    }

    /// Reads a token; nil where the text is none.
    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].elementsEqual("kv1".utf8), parts[1].count == 16, parts[2].count == 64,
            let id = UInt64(String(decoding: parts[1], as: UTF8.self), radix: 16)
        else { return nil }
        var secret: [UInt8] = []
        let digits = Array(parts[2])
        for place in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Character(UnicodeScalar(digits[place])).hexDigitValue,
                let low = Character(UnicodeScalar(digits[place + 1])).hexDigitValue
            else { return nil }
            secret.append(UInt8(high << 4 | low))
        }
        self.init(id: id, secret: secret)
    }

    /// The token as its owner is given it.
    package var text: String {
        let idDigits = String(id, radix: 16)
        let digits = secret.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        return "kv1.\(String(repeating: "0", count: 16 - idDigits.count))\(idDigits).\(digits)"
    }
}
