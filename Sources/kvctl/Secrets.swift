/// Blots out what a log should not have had: tokens of ours, passwords in addresses, and whatever stands behind the names of secrets.
enum Secrets {
    static func blotted(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { blottedLine(String($0)) }.joined(
            separator: "\n"
        )
    }

    private static func blottedLine(_ line: String) -> String {
        // `name=value`, `name: value`, `"name": "value"`, `name value`; `Basic` and `Bearer` belong to the value.
        let named =
            /((?:password|passwd|secret|token|authorization)\w*["']?(?:\s*[:=]\s*|\s+))("(?:[^"\\]|\\.)*"|'[^']*'|(?:(?:basic|bearer)\s+)?[^\s,;&}\]]+)/
            .ignoresCase()
        let bare = /\b(basic|bearer)\s+[A-Za-z0-9+\/=._~-]{8,}/.ignoresCase()
        return line.replacing(/:\/\/[^\/@\s]+@/, with: "://(removed)@")
            .replacing(named) { "\($0.1)(removed)" }
            .replacing(bare) { "\($0.1) (removed)" }
            .replacing(/kv1\.[A-Za-z0-9+\/=._~-]+/, with: "(removed)")
    }
}
