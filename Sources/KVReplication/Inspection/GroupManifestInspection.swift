import KVBase
package import KVEnvironment
package import KVLog
package import KVStorage

/// What a group's manifest says, as far as it reads.
package struct GroupManifestReport: Sendable {
    /// The manifest.
    package var path: String
    /// The state of the last record that reads; nil where none does.
    package var state: GroupManifestState?
    /// Who belongs to the group; nil where that does not read.
    package var membership: GroupMembership?
    /// How many records read.
    package var recordCount = 0
    /// What is wrong.
    package var findings: [InspectionFinding] = []
    /// Where it ends in a write that was never acknowledged.
    package var tornTail: LogPlace?
    /// Its size in bytes.
    package var size: UInt64 = 0
}

/// Reads groups' manifests for tools; changes nothing.
package enum GroupManifestInspection {
    /// Reads the manifest in a group's directory.
    package static func read(_ fileSystem: any FileSystem, _ directory: String) -> GroupManifestReport {
        let path = directory + "/MANIFEST"
        var report = GroupManifestReport(path: path)
        guard fileSystem.exists(path) else {
            report.findings.append(
                InspectionFinding(file: path, offset: 0, length: 0, what: "the file is missing", part: "group manifest")
            )
            return report
        }
        var found = report
        func add(_ record: LogRecord, _ what: String) {
            found.findings.append(
                InspectionFinding(
                    file: path,
                    offset: record.place.offset,
                    length: UInt64(record.payload.count),
                    what: what,
                    part: "record \(record.sequence)"
                )
            )
        }
        let file = LogInspection.file(fileSystem, path: path) { record in
            guard record.kind == .groupEdit else {
                return add(record, "a record of kind \(record.kind) in a group's manifest")
            }
            do throws(DecodingError) {
                let state = try GroupManifestState(record.payload)
                if !state.membership.isEmpty { found.membership = try GroupMembership(decoding: state.membership) }
                found.state = state
                found.recordCount += 1
            } catch { add(record, "\(error)") }
        }
        report = found
        report.size = file.size
        report.findings += LogFindings.findings(of: file, fileSystem)
        if case .tornTail(let place) = file.verdict { report.tornTail = place }
        if report.state == nil, report.findings.isEmpty {
            report.findings.append(
                InspectionFinding(file: path, offset: 0, length: file.size, what: "it holds no state")
            )
        }
        return report
    }
}
