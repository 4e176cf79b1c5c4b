package import KVStorage

extension Output {
    /// Everything that was found, each with what a person needs on a bad night.
    package func findings(_ findings: [InspectionFinding]) {
        for (number, finding) in findings.enumerated() {
            if format == .json { json(finding) } else { text(finding, "\(number + 1) of \(findings.count)") }
        }
    }

    private func text(_ finding: InspectionFinding, _ number: String) {
        heading("")
        heading((finding.isInputOutput ? "unreadable " : "damage ") + number)
        func line(_ name: String, _ text: String?) {
            guard let text else { return }
            heading("  " + name + String(repeating: " ", count: max(1, 9 - name.count)) + text)
        }
        var file = finding.file
        if let level = finding.level { file += ", level \(level)" }
        if let isLive = finding.isLive { file += isLive ? ", live" : ", not live" }
        line("file", file)
        if !finding.isInputOutput {
            let part = finding.part.map { ", \($0)" } ?? ""
            line("bytes", "\(finding.offset)..<\(finding.offset &+ finding.length) (\(finding.length) bytes)\(part)")
        }
        line("found", finding.what)
        if finding.firstKey != nil || finding.lastKey != nil {
            let first = finding.firstKey.map(shownKey) ?? "the first"
            let last = finding.lastKey.map(shownKey) ?? "the last"
            line("keys", "from \(first) to \(last)")
        }
        line(
            "flip",
            finding.flip.map {
                "bit \($0.bit) of byte \($0.byte): flipped back, the checksum matches: suspect hardware (memory, cable, disk)"
            }
        )
        line("lost", finding.lost)
        line("next", finding.next)
    }

    private func json(_ finding: InspectionFinding) {
        var fields: [(String, JSONValue)] = [
            ("kind", .text(finding.isInputOutput ? "unreadable" : "damage")), ("file", .text(finding.file)),
            ("offset", .number(finding.offset)), ("length", .number(finding.length)), ("found", .text(finding.what)),
        ]
        if let part = finding.part { fields.append(("part", .text(part))) }
        if let level = finding.level { fields.append(("level", .count(level))) }
        if let isLive = finding.isLive { fields.append(("live", .flag(isLive))) }
        if let key = finding.firstKey { fields += keyFields(key, "firstKey").prefix(1) }
        if let key = finding.lastKey { fields += keyFields(key, "lastKey").prefix(1) }
        if let flip = finding.flip {
            fields.append(("flip", .object([("byte", .number(flip.byte)), ("bit", .count(flip.bit))])))
        }
        if let lost = finding.lost { fields.append(("lost", .text(lost))) }
        if let next = finding.next { fields.append(("next", .text(next))) }
        row("finding", fields, "")
    }
}
