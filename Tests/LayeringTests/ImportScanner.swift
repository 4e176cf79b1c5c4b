/// Reads the import lines of a Swift file.
enum ImportScanner {
    /// The module that `line` imports; nil where it imports none.
    static func module(in line: Substring) -> String? {
        var words = line.split(separator: " ")
        while let first = words.first, first.hasPrefix("@") || accessLevels.contains(String(first)) {
            words.removeFirst()
        }
        guard words.count >= 2, words[0] == "import" else { return nil }
        // `import struct Module.Type` names a kind before the module.
        let name = words.count >= 3 && kinds.contains(String(words[1])) ? words[2] : words[1]
        return String(name.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
    }

    private static let accessLevels: Set<String> = ["public", "package", "internal", "fileprivate", "private"]
    private static let kinds: Set<String> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
}
