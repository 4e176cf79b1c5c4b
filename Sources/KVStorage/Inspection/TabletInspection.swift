package import KVEnvironment
import KVLog

/// Reads every byte of a tablet that nobody has open, and checks it.
///
/// Changes nothing.
///
/// 1. CURRENT and the MANIFEST it names. 2. Of every live table: header, footer, index, filter, properties; every
///    block's checksum; the order of its entries; that each entry's key is in the filter and within the bounds of
///    index, table and manifest; that the counts are those of the properties. 3. That tables of a level do not
///    overlap. 4. The tablet's own log, where it has one. 5. Files that the manifest does not name are noted: a crash leaves them,
///    and the next opening removes them.
package enum TabletInspection {
    /// Looks at the tablet in `directory`.
    package static func verify(_ fileSystem: any FileSystem, _ directory: String) -> InspectionReport {
        var report = InspectionReport()
        let manifest = ManifestInspection.read(fileSystem, directory)
        report.findings = manifest.findings
        report.mark = manifest.mark
        if let place = manifest.tornTail { report.tornTails.append("\(place)") }
        if let path = manifest.path, let size = try? fileSystem.size(path) { report.byteCount += size }
        for table in manifest.tables { verify(table, fileSystem, &report) }
        let environment = TableEnvironment(
            fileSystem: fileSystem,
            directory: directory,
            shared: SharedResources(blockCacheBytes: 0, tablesOpenMax: 8)
        )
        let version = Version.empty.applying(
            removed: [],
            added: manifest.tables.map { ($0.level, TableFile($0.metadata, environment)) }
        )
        if let violation = version.invariantViolation() {
            report.findings.append(InspectionFinding(file: directory, offset: 0, length: 0, what: violation))
        }
        if manifest.path != nil,
            let own = OwnLogInspection.read(fileSystem, tablet: directory, identity: manifest.identity)
        {
            report.findings += own.findings
            report.byteCount += own.files.reduce(0) { $0 + $1.size }
            if case .tornTail(let place) = own.files.last?.verdict { report.tornTails.append("\(place)") }
        }
        noteStrays(fileSystem, directory, manifest, &report)
        return report
    }

    private static func verify(_ table: InspectedTable, _ fileSystem: any FileSystem, _ report: inout InspectionReport)
    {
        let inspector: TableInspector
        do throws(FileError) {
            inspector = try TableInspector(fileSystem, path: table.path, expected: table)
        } catch {
            var finding =
                error.reason == .notFound
                ? InspectionFinding(file: table.path, offset: 0, length: table.size, what: "the file is missing")
                : InspectionFinding(unreadable: table.path, "\(error)")
            finding.lost = "up to \(table.entryCount) entries"
            finding.isLive = true
            finding.level = table.level
            (finding.firstKey, finding.lastKey) = (table.smallest, table.largest)
            report.findings.append(finding)
            return
        }
        let counts = inspector.verify()
        report.tableCount += 1
        report.blockCount += counts.blocks
        report.entryCount += counts.entries
        report.byteCount += inspector.size
        for var finding in inspector.findings {
            finding.level = table.level
            finding.isLive = true
            if finding.firstKey == nil { (finding.firstKey, finding.lastKey) = (table.smallest, table.largest) }
            report.findings.append(finding)
        }
    }

    private static func noteStrays(
        _ fileSystem: any FileSystem,
        _ directory: String,
        _ manifest: ManifestReport,
        _ report: inout InspectionReport
    ) {
        guard manifest.path != nil else { return }
        let live = Set(
            manifest.tables.map(\.name) + [manifest.path.map { String($0.dropFirst(directory.count + 1)) } ?? ""]
        )
        // What cannot be listed showed above.
        for name in (try? fileSystem.list(directory)) ?? [] where !live.contains(name) {
            if name.hasSuffix(".sst") || name.hasPrefix("MANIFEST-") || name.hasSuffix(".new") {
                report.notes.append(
                    "\(directory)/\(name) is not live: a job that was cut short left it, and the next opening removes it"
                )
            }
        }
    }
}
