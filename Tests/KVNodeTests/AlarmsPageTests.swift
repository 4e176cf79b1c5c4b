import Foundation
import KVNode
import Testing

/// Holds docs/operations/alarms.md against the code and the alert rules.
struct AlarmsPageTests {
    @Test func `every alarm and every alert has a section that says what to do, and nothing else has`() throws {
        let page = try text("docs/operations/alarms.md")
        let sections = page.split(separator: "\n").filter { $0.hasPrefix("### ") }.map { String($0.dropFirst(4)) }
        let rules = try text("deploy/prometheus/rules.yml")
        let alerts = rules.matches(of: #/alert: (\w+)/#).map { String($0.output.1) }
        #expect(Set(sections) == Set(alerts + NodeAlarm.allCases.map(\.rawValue)))
        #expect(Set(sections).count == sections.count)
    }

    @Test func `every alert has a test`() throws {
        let tests = try text("deploy/prometheus/rules_test.yml")
        let rules = try text("deploy/prometheus/rules.yml")
        for alert in rules.matches(of: #/alert: (\w+)/#).map({ String($0.output.1) }) {
            #expect(tests.contains("alertname: \(alert)\n"), "\(alert)")
        }
    }

    private func text(_ path: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }
}
