import CLibCrypt
import KVBase
import KVService

/// Passwords under yescrypt, by the system's crypt(3): 16 MiB and tens of milliseconds for each guess.
///
/// A hash says how it was made, so that ones of other methods and costs go on being verified.
package struct CryptPasswordHasher: PasswordHashing {
    private static let method = "$y$"
    private static let saltBytes = 32
    /// The size of `struct crypt_data`, whose arrays are too long for Swift to import: exactly this, by its header.
    private static let dataBytes = 32_768

    private let costs: UInt

    /// A hasher at the method's usual costs, or at others (tests).
    package init(costs: UInt = 0) { self.costs = costs }

    package func hash(_ password: [UInt8]) -> String? {
        var random = SystemRandomNumberGenerator()
        let salt = (0..<Self.saltBytes).map { _ in CChar(bitPattern: UInt8.random(in: 0...255, using: &random)) }
        var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        guard crypt_gensalt_rn(Self.method, costs, salt, CInt(salt.count), &setting, CInt(setting.count)) != nil else {
            return nil
        }
        return compute(password, setting)
    }

    package func verify(_ password: [UInt8], against hash: String) -> Bool {
        let setting = hash.utf8.map { CChar(bitPattern: $0) } + [0]
        guard let computed = compute(password, setting) else { return false }
        return isEqualInConstantTime(Array(computed.utf8), Array(hash.utf8))
    }

    /// The hash by a setting, or by an earlier hash, which starts with its setting; nil where there is no such method.
    private func compute(_ password: [UInt8], _ setting: [CChar]) -> String? {
        guard !password.contains(0), password.count <= AccessLimits.passwordBytesMax else { return nil }
        let phrase = password.map { CChar(bitPattern: $0) } + [0]
        // crypt(3) erases what it wrote of secrets.
        var data = [UInt8](repeating: 0, count: Self.dataBytes)
        return data.withUnsafeMutableBytes { data in
            crypt_rn(phrase, setting, data.baseAddress, CInt(data.count)).map { String(cString: $0) }
        }
    }
}
