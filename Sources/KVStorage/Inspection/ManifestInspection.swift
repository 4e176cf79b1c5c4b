import KVBase
package import KVEnvironment
package import KVLog

/// A table as a manifest names it.
package struct InspectedTable: Equatable, Sendable {
    /// Its level.
    package let level: Int
    /// Its path.
    package let path: String
    let metadata: TableMetadata

    /// Its number.
    package var number: UInt64 { metadata.number }
    /// Its random id.
    package var uid: UInt64 { metadata.uid }
    /// Its size in bytes.
    package var size: UInt64 { metadata.size }
    /// Its first stored key.
    package var smallest: [UInt8] { metadata.smallest }
    /// Its last stored key, or the end of a range deletion.
    package var largest: [UInt8] { metadata.largest }
    /// Whether `largest` is itself outside.
    package var largestIsExclusive: Bool { metadata.largestIsExclusive }
    /// The least sequence of its entries.
    package var sequenceMin: UInt64 { metadata.sequenceMin }
    /// The greatest.
    package var sequenceMax: UInt64 { metadata.sequenceMax }
    /// How many entries it has.
    package var entryCount: UInt64 { metadata.entryCount }
    /// How many of them delete.
    package var deletionCount: UInt64 { metadata.tombstoneCount }
    /// How many range deletions it has.
    package var rangeCount: UInt64 { metadata.rangeCount }
    /// The file's name.
    package var name: String { TableFormat.name(metadata.number) }

    init(_ added: VersionEdit.Added, in directory: String) {
        level = added.level
        metadata = added.table
        path = directory + "/" + TableFormat.name(added.table.number)
    }

    /// Whether it may hold `key`.
    package func mayHold(_ key: [UInt8]) -> Bool {
        compareKeys(metadata.smallest, key) <= 0 && !metadata.endsBefore(key)
    }
}

/// One edit of a manifest.
package struct InspectedEdit: Equatable, Sendable {
    /// Where its record stands in the file.
    package var offset: UInt64
    /// Whether it holds the whole state.
    package var isSnapshot: Bool
    /// The tables that came.
    package var added: [InspectedTable]
    /// The numbers of the tables that went.
    package var removed: [UInt64]
    /// How far the data went from then on.
    package var mark: TabletMark?
    /// The last sequence in tables.
    package var lastSequence: UInt64?
    /// The number of the next file.
    package var nextFileNumber: UInt64?
    /// Own log segments before this are not needed.
    package var logNumber: UInt64?
}

/// What a tablet's CURRENT and MANIFEST say, as far as they read.
package struct ManifestReport: Equatable, Sendable {
    /// The manifest in force; nil where CURRENT does not read.
    package var path: String?
    /// What is wrong.
    package var findings: [InspectionFinding] = []
    /// Every edit that reads, in order.
    package var edits: [InspectedEdit] = []
    /// The live tables, by level and key (level 0 newest first).
    package var tables: [InspectedTable] = []
    /// How far the data goes.
    package var mark = TabletMark()
    /// The last sequence in tables.
    package var lastSequence: UInt64 = 0
    /// Own log segments before this are not needed.
    package var logNumber: UInt64 = 0
    /// The tablet's random identity.
    package var identity: UInt64 = 0
    /// Where the manifest ends in a write that was never acknowledged.
    package var tornTail: LogPlace?
    /// Whether the last process that had it open ended it.
    package var isClosed = false

    /// A report of nothing.
    package init() {}
}

/// Reads what says of which files a tablet consists, for tools; changes nothing.
package enum ManifestInspection {
    /// Whether `directory` is, or was, a tablet's: it has a CURRENT, a MANIFEST of a tablet or tables.
    package static func isTablet(_ fileSystem: any FileSystem, _ directory: String) -> Bool {
        // What cannot be listed is no directory of a tablet.
        let names = (try? fileSystem.list(directory)) ?? []
        return names.contains { $0 == ManifestStore.currentName || $0.hasPrefix("MANIFEST-") || $0.hasSuffix(".sst") }
    }

    /// Reads CURRENT and the manifest it names.
    package static func read(_ fileSystem: any FileSystem, _ directory: String) -> ManifestReport {
        var report = ManifestReport()
        let currentPath = directory + "/" + ManifestStore.currentName
        let bytes: [UInt8]
        do throws(FileError) {
            let size = try fileSystem.size(currentPath)
            guard size < 4096 else {
                report.findings.append(
                    InspectionFinding(
                        file: currentPath,
                        offset: 0,
                        length: size,
                        what: "\(size) bytes are no name of a MANIFEST",
                        part: "CURRENT"
                    )
                )
                return report
            }
            bytes = try fileSystem.readAll(currentPath)
        } catch {
            if error.reason == .notFound {
                report.findings.append(
                    InspectionFinding(
                        file: currentPath,
                        offset: 0,
                        length: 0,
                        what: "the file is missing",
                        part: "CURRENT"
                    )
                )
            } else {
                report.findings.append(InspectionFinding(unreadable: currentPath, "\(error)"))
            }
            return report
        }
        guard let number = CurrentFile.decode(bytes) else {
            var finding = InspectionFinding(
                file: currentPath,
                offset: 0,
                length: UInt64(bytes.count),
                what: "not the name of a MANIFEST and its checksum",
                part: "CURRENT"
            )
            finding.flip = flip(bytes)
            report.findings.append(finding)
            return report
        }
        readManifest(fileSystem, directory, directory + "/" + ManifestFormat.name(number), &report)
        return report
    }

    private static func flip(_ bytes: [UInt8]) -> FlippedBit? {
        guard bytes.count < 64 else { return nil }
        var bytes = bytes
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            if CurrentFile.decode(bytes) != nil { return FlippedBit(byte: UInt64(bit / 8), bit: bit % 8) }
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        return nil
    }

    private static func readManifest(
        _ fileSystem: any FileSystem,
        _ directory: String,
        _ path: String,
        _ report: inout ManifestReport
    ) {
        report.path = path
        var state: ManifestState?
        var found = report
        let file = LogInspection.file(fileSystem, path: path) { record in
            if let problem = take(record, directory, &state, &found) {
                found.findings.append(
                    InspectionFinding(
                        file: path,
                        offset: record.place.offset,
                        length: UInt64(record.payload.count),
                        what: problem,
                        part: "edit \(found.edits.count)"
                    )
                )
            }
        }
        report = found
        if case .inputOutput(let error) = file.verdict, error.reason == .notFound {
            report.findings.append(
                InspectionFinding(file: path, offset: 0, length: 0, what: "CURRENT names it and it is missing")
            )
            return
        }
        report.findings += LogFindings.findings(of: file, fileSystem)
        if case .tornTail(let place) = file.verdict { report.tornTail = place }
        report.isClosed = file.isClosed
        guard let state else {
            if report.findings.isEmpty {
                report.findings.append(
                    InspectionFinding(file: path, offset: 0, length: file.size, what: "no whole state in the MANIFEST")
                )
            }
            return
        }
        report.tables = state.tables.values.map { InspectedTable($0, in: directory) }.sorted {
            if $0.level != $1.level { return $0.level < $1.level }
            if $0.level == 0 { return $0.sequenceMax > $1.sequenceMax }
            return compareKeys($0.smallest, $1.smallest) < 0
        }
        report.mark = state.mark
        report.lastSequence = state.lastSequence
        report.logNumber = state.logNumber
        report.identity = state.identity
    }

    /// Takes a record in; returns what is wrong with it.
    private static func take(
        _ record: LogRecord,
        _ directory: String,
        _ state: inout ManifestState?,
        _ report: inout ManifestReport
    ) -> String? {
        guard record.kind == .versionEdit else { return "a record of kind \(record.kind) in a tablet's manifest" }
        let edit: VersionEdit
        do throws(DecodingError) { edit = try VersionEdit(decoding: record.payload) } catch { return "\(error)" }
        if edit.isSnapshot { state = ManifestState() }
        guard state != nil else { return "the first edit is not a whole state" }
        if let problem = state?.apply(edit) { return problem }
        report.edits.append(
            InspectedEdit(
                offset: record.place.offset,
                isSnapshot: edit.isSnapshot,
                added: edit.added.map { InspectedTable($0, in: directory) },
                removed: edit.removed,
                mark: edit.mark,
                lastSequence: edit.lastSequence,
                nextFileNumber: edit.nextFileNumber,
                logNumber: edit.logNumber
            )
        )
        return nil
    }
}

/// What is wrong with a file of a record log, as findings.
package enum LogFindings {
    /// The findings of one file.
    package static func findings(of file: LogFileReport, _ fileSystem: any FileSystem) -> [InspectionFinding] {
        if let refusal = file.refusal {
            return [
                InspectionFinding(file: file.path, offset: 0, length: file.size, what: "\(refusal)", part: "header")
            ]
        }
        var findings: [InspectionFinding] = []
        switch file.verdict {
        case .cleanEnd, .tornTail: break
        case .inputOutput(let error): findings.append(InspectionFinding(unreadable: file.path, "\(error)"))
        case .corruption(let place, let proven, let damage):
            findings.append(finding(file, place, proven, damage, fileSystem))
        }
        if let offset = file.slackOffset {
            findings.append(
                InspectionFinding(
                    file: file.path,
                    offset: offset,
                    length: file.size > offset ? file.size - offset : 0,
                    what: "bytes that are not zero behind the end of the log at \(file.length)",
                    part: "behind the end"
                )
            )
        }
        return findings
    }

    private static func finding(
        _ file: LogFileReport,
        _ place: LogPlace,
        _ proven: UInt64,
        _ damage: LogDamage,
        _ fileSystem: any FileSystem
    ) -> InspectionFinding {
        let start = file.header?.start ?? 0
        var finding = InspectionFinding(
            file: place.path,
            offset: place.offset,
            length: 0,
            what: "\(damage); bytes before position \(proven) were durable",
            part: "record log"
        )
        switch damage {
        case .badChunk, .badHeader:
            // Why it cannot be read is not worth hiding the damage for.
            guard
                let diagnosis = try? LogInspection.diagnose(
                    fileSystem,
                    path: file.path,
                    number: file.number,
                    offset: place.offset
                )
            else { break }
            let provenEnd = proven > start ? min(proven - start, file.size) : place.offset
            finding.length = (diagnosis.resumesAt ?? max(provenEnd, place.offset)) - place.offset
            if let (stored, found) = diagnosis.checksums, stored != found {
                finding.what =
                    "\(damage): checksum \(hexadecimal(UInt64(found))), stored \(hexadecimal(UInt64(stored))); bytes before position"
                    + " \(proven) were durable"
            }
            if let byte = diagnosis.flippedByte, let bit = diagnosis.flippedBit {
                finding.flip = FlippedBit(byte: byte, bit: bit)
            }
        case .shortFile(let expected, let found): finding.length = expected > found ? expected - found : 0
        case .missingSegment, .recordCount, .disconnected, .badRecord, .missingEntries, .otherTerm: break
        }
        return finding
    }
}
