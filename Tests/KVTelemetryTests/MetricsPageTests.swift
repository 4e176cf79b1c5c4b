import Foundation
import KVTelemetry
import Testing

/// Holds docs/operations/metrics.md against the code.
@Suite struct MetricsPageTests {
    @Test func `the page has every metric as the code defines it`() throws {
        var page = try String(contentsOf: path, encoding: .utf8)
        let start = try #require(page.range(of: "swift test --filter MetricsPageTests -->\n"))
        let end = try #require(page.range(of: "<!-- end -->"))
        if ProcessInfo.processInfo.environment["WRITE_REFERENCE"] == "1" {
            page.replaceSubrange(start.upperBound..<end.lowerBound, with: table)
            try page.write(to: path, atomically: true, encoding: .utf8)
        } else {
            #expect(page[start.upperBound..<end.lowerBound] == table, "run the tests once with WRITE_REFERENCE=1")
        }
    }

    @Test func `synonyms point at what there is`() throws {
        let page = try String(contentsOf: path, encoding: .utf8)
        let synonyms = try #require(page.range(of: "## Synonyms"))
        let names = Set(Metric.all.map(\.name))
        for row in page[synonyms.upperBound...].split(separator: "\n") where row.hasPrefix("| `") {
            let columns = row.split(separator: "|")
            try #require(columns.count == 2, "\(row)")
            for quoted in columns[1].split(separator: "`") where quoted.contains("_") {
                let name = String(quoted.prefix { $0.isLetter || $0 == "_" || $0.isNumber })
                #expect(names.contains(name), "\(row)")
            }
            for quoted in columns[0].split(separator: "`") where quoted.contains("_") {
                #expect(!names.contains(String(quoted)), "exported twice: \(quoted)")
            }
        }
    }

    private var table: String {
        var text = "\n| name | kind | labels | |\n|---|---|---|---|\n"
        for metric in Metric.all.sorted(by: { $0.name < $1.name }) {
            let kind =
                switch metric.kind {
                case .counter: "counter"
                case .gauge: "gauge"
                case .histogram: "histogram"
                }
            let labels = metric.labels.map { "`\($0.rawValue)`" }.joined(separator: " ")
            text += "| `\(metric.name)` | \(kind) | \(labels) | \(metric.help) |\n"
        }
        return text + "\n"
    }

    private var path: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/operations/metrics.md")
    }
}
