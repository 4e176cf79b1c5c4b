/// The candidate that `name` was most likely meant to be, or nil where none is near: at most a third of its letters differ.
/// - Complexity: O(candidates × length²); names longer than 64 bytes have no neighbours.
func nearestName(to name: String, among candidates: [String]) -> String? {
    guard !name.isEmpty, name.utf8.count <= 64 else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(Array(name.lowercased().utf8), Array(candidate.lowercased().utf8))
        let allowed = max(2, max(name.utf8.count, candidate.utf8.count) / 3)
        if distance <= allowed, distance < candidate.utf8.count, distance < best?.distance ?? .max {
            best = (candidate, distance)
        }
    }
    return best?.name
}

/// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b` (Damerau, restricted form).
func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        row.reserveCapacity(b.count + 1)
        for j in 0..<b.count {
            var cost = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
            row.append(cost)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}
