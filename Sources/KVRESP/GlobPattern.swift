/// A Redis glob: `*`, `?`, `[abc]`, `[a-z]`, `[^…]`, `\` escapes.
struct GlobPattern: Sendable {
    private let pattern: [UInt8]
    /// What every match starts with.
    let prefix: [UInt8]

    init(_ pattern: [UInt8]) {
        self.pattern = pattern
        var prefix: [UInt8] = []
        var index = 0
        loop: while index < pattern.count {
            switch pattern[index] {
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["): break loop
            case UInt8(ascii: "\\") where index + 1 < pattern.count:
                prefix.append(pattern[index + 1])
                index += 2
            default:
                prefix.append(pattern[index])
                index += 1
            }
        }
        self.prefix = prefix
    }

    /// Whether it matches all of `text`.
    /// - Complexity: O(pattern × text): a star is tried again only from the last one, never all of them.
    func matches(_ text: [UInt8]) -> Bool {
        var place = 0
        var index = 0
        var star: (pattern: Int, text: Int)?
        while index < text.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                place += 1
                star = (place, index)
            } else if let next = matchOne(text[index], at: place) {
                place = next
                index += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                place = last.pattern
                index = last.text + 1
            } else {
                return false
            }
        }
        while place < pattern.count, pattern[place] == UInt8(ascii: "*") { place += 1 }
        return place == pattern.count
    }

    /// Matches one byte against the element at `place`.
    /// - Returns: the place of the next element, or nil.
    private func matchOne(_ byte: UInt8, at place: Int) -> Int? {
        guard place < pattern.count else { return nil }
        switch pattern[place] {
        case UInt8(ascii: "?"): return place + 1
        case UInt8(ascii: "["): return matchClass(byte, from: place + 1)
        case UInt8(ascii: "\\") where place + 1 < pattern.count: return pattern[place + 1] == byte ? place + 2 : nil
        default: return pattern[place] == byte ? place + 1 : nil
        }
    }

    private func matchClass(_ byte: UInt8, from start: Int) -> Int? {
        var place = start
        let isNegated = place < pattern.count && pattern[place] == UInt8(ascii: "^")
        if isNegated { place += 1 }
        var isIn = false
        while place < pattern.count, pattern[place] != UInt8(ascii: "]") {
            if pattern[place] == UInt8(ascii: "\\"), place + 1 < pattern.count { place += 1 }
            var low = pattern[place]
            var high = low
            if place + 2 < pattern.count, pattern[place + 1] == UInt8(ascii: "-") {
                high = pattern[place + 2]
                if low > high { swap(&low, &high) }
                place += 2
            }
            if byte >= low && byte <= high { isIn = true }
            place += 1
        }
        // A class that is not closed ends with the pattern, as in Redis.
        return isIn != isNegated ? min(place + 1, pattern.count) : nil
    }
}
