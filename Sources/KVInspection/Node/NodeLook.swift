import KVBase
import KVEnvironment
import KVLog
import KVReplication
import KVStorage

/// A node's data directory as a tool sees it: what each file says, and what is wrong.
struct NodeLook {
    let directory: String
    let logDirectory: String
    var identity: NodeIdentity?
    var groups: [(group: GroupID, manifest: GroupManifestReport)] = []
    var log: [LogFileReport] = []
    var findings: [InspectionFinding] = []
    var tornTails: [String] = []
    var notes: [String] = []
    var fileCount = 0
    var byteCount: UInt64 = 0

    /// The longest text that a node.yaml may be.
    private static let identityBytesMax: UInt64 = 1 << 20

    private let fileSystem: any FileSystem

    init(_ fileSystem: any FileSystem, _ directory: String, logDirectory: String?) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.logDirectory = logDirectory ?? directory + "/log"
    }

    /// Reads every byte of every file that counts.
    mutating func verify() {
        noteHolder()
        readIdentity()
        let groups = readGroups()
        let last = readLog()
        for (group, manifest) in groups { verifyTablets(group, manifest, logEnd: last.map { $0[group] ?? 0 }) }
    }

    /// A node that runs holds the lock; nothing is changed, but what is read may be changing.
    private mutating func noteHolder() {
        let path = directory + "/LOCK"
        guard fileSystem.exists(path) else { return }
        do throws(FileError) { try fileSystem.lock(path).release() } catch {
            guard error.reason == .locked else { return }
            notes.append("a node has \(directory) open: its files are read as they stand at this moment")
        }
    }

    // MARK: node.yaml

    private mutating func readIdentity() {
        let path = directory + "/node.yaml"
        func damage(_ length: UInt64, _ what: String) -> InspectionFinding {
            InspectionFinding(file: path, offset: 0, length: length, what: what, part: "identity")
        }
        do throws(FileError) {
            let size = try fileSystem.size(path)
            guard size <= Self.identityBytesMax else {
                findings.append(damage(size, "\(size) bytes are no identity"))
                return
            }
            let bytes = try fileSystem.readAll(path)
            fileCount += 1
            byteCount += size
            do throws(NodeIdentity.Malformed) { identity = try NodeIdentity(parsing: bytes) } catch {
                var finding = damage(size, error.description)
                finding.flip = Self.flip(bytes)
                findings.append(finding)
            }
        } catch {
            findings.append(
                error.reason == .notFound
                    ? damage(0, "the file is missing") : InspectionFinding(unreadable: path, "\(error)")
            )
        }
    }

    private static func flip(_ bytes: [UInt8]) -> FlippedBit? {
        guard bytes.count <= 4096 else { return nil }
        var bytes = bytes
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            if (try? NodeIdentity(parsing: bytes)) != nil { return FlippedBit(byte: UInt64(bit / 8), bit: bit % 8) }
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        return nil
    }

    // MARK: Groups

    mutating func readGroups() -> [(GroupID, GroupManifestReport)] {
        let path = directory + "/groups"
        let names: [String]
        do throws(FileError) { names = try fileSystem.list(path) } catch {
            findings.append(
                error.reason == .notFound
                    ? InspectionFinding(file: path, offset: 0, length: 0, what: "the directory is missing")
                    : InspectionFinding(unreadable: path, "\(error)")
            )
            return []
        }
        for name in names {
            guard let number = UInt32(name) else {
                notes.append("\(path)/\(name) is no group's directory")
                continue
            }
            let manifest = GroupManifestInspection.read(fileSystem, path + "/" + name)
            groups.append((GroupID(number), manifest))
            findings += manifest.findings
            if let place = manifest.tornTail { tornTails.append("\(place)") }
            fileCount += 1
            byteCount += manifest.size
        }
        if identity?.isFormed == true {
            for number in 0...1 where !groups.contains(where: { $0.group.rawValue == number }) {
                findings.append(
                    InspectionFinding(
                        file: "\(path)/\(number)",
                        offset: 0,
                        length: 0,
                        what: "the group's directory is missing"
                    )
                )
            }
        }
        return groups
    }

    // MARK: Log

    /// Reads the log; returns the last index of each group, nil where that cannot be told.
    private mutating func readLog() -> [GroupID: LogIndex]? {
        var wrong: [InspectionFinding] = []
        do throws(FileError) {
            let directory = logDirectory
            let reader = WALReplay(fileSystem, Output(.json) { _ in })
            log = try LogInspection.segments(
                fileSystem,
                directory: directory,
                identity: identity.map(OfflineNodeLog.identity)
            ) { record in
                let path = directory + "/" + LogFormat.segmentName(record.place.number)
                switch reader.decode(record, path) {
                case .success(.node(let content)):
                    if let finding = reader.wrongEntry(.node(content), record, path) { wrong.append(finding) }
                case .success:
                    wrong.append(
                        InspectionFinding(
                            file: path,
                            offset: record.place.offset,
                            length: UInt64(record.payload.count),
                            what: "a record of kind \(record.kind) in a node's log",
                            part: "record \(record.sequence)"
                        )
                    )
                case .failure(let finding): wrong.append(finding)
                }
            }
            let target = LogTarget(files: log, directory: directory)
            findings += reader.findings([target], wrong)
            tornTails += target.tornTails
            fileCount += log.count
            byteCount += log.reduce(0) { $0 + $1.size }
        } catch {
            findings.append(
                error.reason == .notFound
                    ? InspectionFinding(
                        file: logDirectory,
                        offset: 0,
                        length: 0,
                        what: "the log's directory is missing"
                    )
                    : InspectionFinding(unreadable: logDirectory, "\(error)")
            )
            return nil
        }
        if log.isEmpty, identity?.isFormed == true {
            findings.append(
                InspectionFinding(file: logDirectory, offset: 0, length: 0, what: "no segment of the log is there")
            )
        }
        guard wrong.isEmpty, !log.contains(where: \.isDamaged),
            let offline = try? OfflineNodeLog(fileSystem, directory: logDirectory)
        else { return nil }
        return offline.groups.mapValues(\.lastIndex)
    }

    // MARK: Tablets

    private mutating func verifyTablets(_ group: GroupID, _ manifest: GroupManifestReport, logEnd: LogIndex?) {
        guard let state = manifest.state else { return }
        if let logEnd, logEnd < state.cutIndex, state.installedIndex != state.cutIndex {
            findings.append(
                lostLog(
                    logDirectory,
                    "the log of group \(group) ends at entry \(logEnd), entry \(state.cutIndex) was in it by the word of \(manifest.path)"
                )
            )
        }
        let groupDirectory = parentDirectory(of: manifest.path)
        for name in state.tablets {
            let path = groupDirectory + "/" + name.directory
            guard ManifestInspection.isTablet(fileSystem, path) || state.cutIndex > 0 else {
                notes.append("\(path) is not made yet; the log holds all of it")
                continue
            }
            let report = TabletInspection.verify(fileSystem, path)
            findings += report.findings
            tornTails += report.tornTails
            notes += report.notes
            fileCount += report.tableCount + 2
            byteCount += report.byteCount
            let end = max(logEnd ?? 0, state.cutIndex)
            if logEnd != nil, report.findings.isEmpty, report.mark.appliedIndex > end {
                findings.append(
                    lostLog(
                        path,
                        "the tablet holds index \(report.mark.appliedIndex), the log of group \(group) ends at \(end)"
                    )
                )
            }
        }
        let live = Set(state.tablets.map(\.directory))
        for name in (try? fileSystem.list(groupDirectory)) ?? [] where !live.contains(name) && name != "MANIFEST" {
            notes.append("\(groupDirectory)/\(name) is not live: the next start removes it")
        }
    }
}

extension NodeLook {
    /// The log lacks entries that the node had.
    private func lostLog(_ path: String, _ what: String) -> InspectionFinding {
        var finding = InspectionFinding(file: path, offset: 0, length: 0, what: what)
        finding.lost = "acknowledged entries of the log"
        finding.next = "this node must not vote with what is left: move the data directory away and replace the node"
        return finding
    }
}

extension WALReplay {
    /// Reads every byte of logs, or of whole nodes, and checks it.
    package func verify(_ names: [String], logDirectory: String? = nil) throws(ToolFailure) -> ToolExit {
        guard !names.isEmpty else {
            throw ToolFailure(.usage, "name a data directory, a log's directory or one of its files")
        }
        var findings: [InspectionFinding] = []
        var tornTails: [String] = []
        var notes: [String] = []
        var files = 0
        var bytes: UInt64 = 0
        for path in names.map(Paths.trimmed) {
            try paths.check(path)
            if paths.isDataDirectory(path) {
                var node = NodeLook(fileSystem, path, logDirectory: logDirectory)
                node.verify()
                findings += node.findings
                tornTails += node.tornTails
                notes += node.notes
                files += node.fileCount
                bytes += node.byteCount
            } else if paths.isDirectory(path), ManifestInspection.isTablet(fileSystem, path) {
                let report = TabletInspection.verify(fileSystem, path)
                findings += report.findings
                tornTails += report.tornTails
                notes += report.notes
                files += report.tableCount + 2
                bytes += report.byteCount
            } else {
                let (targets, found) = try readAll([path])
                findings += found
                tornTails += targets.flatMap(\.tornTails)
                files += targets.reduce(0) { $0 + $1.files.count }
                bytes += targets.flatMap(\.files).reduce(0) { $0 + $1.size }
            }
        }
        let verdict = Verdict(
            findings,
            tornTails: tornTails,
            "\(SSTDump.count(files, "file")), \(bytes) bytes: every byte was read and is what was written"
        )
        output.verdict(verdict)
        for note in notes { output.note(note) }
        output.findings(findings.advised())
        return verdict.exit
    }
}
