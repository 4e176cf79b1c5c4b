import Foundation
import Testing

/// What clients get, as docs/transcripts shows it to readers.
enum Transcript {
    /// Expects that a page says what a program printed; names the first line that differs.
    static func expect(
        _ text: String,
        isAs page: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let file = Programs.root.appending(path: "docs/transcripts/\(page)")
        let wanted = try String(contentsOf: file, encoding: .utf8)
        guard text != wanted else { return }
        let (got, expected) = (text.components(separatedBy: "\n"), wanted.components(separatedBy: "\n"))
        let place = zip(got, expected).prefix { $0 == $1 }.count
        Issue.record(
            """
            docs/transcripts/\(page) differs at line \(place + 1)
            page: \(place < expected.count ? expected[place] : "(it ends)")
            got:  \(place < got.count ? got[place] : "(it ends)")
            """,
            sourceLocation: sourceLocation
        )
    }
}
