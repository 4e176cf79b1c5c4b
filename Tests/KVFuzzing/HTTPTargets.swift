@testable import KVHTTP

/// What comes over HTTP that this project reads by itself: targets, queries, cursors, JSON.
enum HTTPTargets {
    static let all = [
        FuzzTarget(name: "http-body", seeds: bodies) { readBody($0) },
        FuzzTarget(name: "http-target", seeds: targets) { readTarget($0) },
    ]

    /// JSON is read or refused with the place, and reads the same with space around it.
    static func readBody(_ bytes: UnsafeRawBufferPointer) {
        let plain = try? JSONValue(Array(bytes))
        let spaced = try? JSONValue([0x20, 0x0a] + Array(bytes) + [0x09, 0x0d])
        require(plain == spaced, "\(String(describing: plain)) plain, \(String(describing: spaced)) with space around")
    }

    /// A target is read or refused; a cursor that is taken is the one that is written for its place.
    static func readTarget(_ bytes: UnsafeRawBufferPointer) {
        guard let target = try? Target(String(decoding: bytes, as: UTF8.self)) else { return }
        _ = percentDecoded(target.path.utf8)
        for name in ["ttl", "cursor", "limit", "prefix", "redirect", "consistency"] {
            _ = target.bytes(name)
            _ = try? target.flag(name)
        }
        _ = try? expiry(target)
        _ = try? consistency(target)
        guard let text = target.text("cursor"), let cursor = ScanCursor(text) else { return }
        require(ScanCursor(cursor.text) == cursor, "the cursor \(text) is \(cursor), whose text is \(cursor.text)")
    }

    @Sendable static func bodies() -> [[UInt8]] {
        [
            #"{"conditions": [{"keyUtf8": "{k}a", "ifVersion": "7"}, {"key": "e2t9Yg==", "ifAbsent": true}]}"#,
            #"{"operations": [{"op": "put", "keyUtf8": "a", "valueUtf8": "\u00e9\n\ud83d\ude00\/", "ttl": "30s"}]}"#,
            #" [1, -0.5e+3, 0, true, null, "", {}, [[]]] "#, #"{"a":"\ud800"}"#, "[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]",
        ].map { Array($0.utf8) }
    }

    @Sendable static func targets() -> [[UInt8]] {
        [
            "/v1/kv/a%2Fb%00?ttl=30s&return=previous&redirect",
            "http://host:80/v1/kv?prefix=%7Bk%7D&limit=10&reverse=true",
            "/v1/kv?cursor=" + ScanCursor(isReversed: true, isInclusive: false, key: [0, 255, 7]).text,
            "/put?key=a+b&val=%25#part",
        ].map { Array($0.utf8) }
    }
}
