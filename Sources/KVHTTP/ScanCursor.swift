import KVBase

/// Where the next page of a listing goes on: opaque to the caller, base64 of a version, flags and a key.
struct ScanCursor: Equatable {
    /// The direction that it belongs to.
    var isReversed: Bool
    /// Whether `key` itself is still to come: a page that found nothing yet goes on where it began.
    var isInclusive: Bool
    var key: [UInt8]

    private static let formatVersion: UInt8 = 1

    init(isReversed: Bool, isInclusive: Bool, key: [UInt8]) {
        self.isReversed = isReversed
        self.isInclusive = isInclusive
        self.key = key
    }

    init?(_ text: String) {
        guard let bytes = Base64.decodeURLSafe(text), bytes.count >= 2, bytes[0] == Self.formatVersion, bytes[1] <= 3
        else {
            return nil
        }
        self.init(isReversed: bytes[1] & 1 != 0, isInclusive: bytes[1] & 2 != 0, key: Array(bytes[2...]))
    }

    var text: String {
        let flags: UInt8 = (isReversed ? 1 : 0) | (isInclusive ? 2 : 0)
        return Base64.encodeURLSafe([Self.formatVersion, flags] + key)
    }
}
