import KVEnvironment
import KVStorage

/// A table as a command looks at it.
struct TableLook {
    let path: String
    /// Nil where it cannot be opened.
    let inspector: TableInspector?
    /// What the manifest says of it; nil where no manifest names it.
    let expected: InspectedTable?
    /// Whether the manifest names it; nil where there is no manifest that reads.
    let isLive: Bool?
    var failure: InspectionFinding?

    var level: Int? { expected?.level }

    /// What is wrong with it so far.
    var findings: [InspectionFinding] {
        var findings = inspector?.findings ?? []
        if let failure { findings.append(failure) }
        return findings.map { finding in
            var finding = finding
            finding.level = level
            finding.isLive = isLive
            return finding
        }
    }
}

/// What a command was pointed at: tables by themselves, or whole tablets.
struct TableTarget {
    /// The tablet's directory; nil for a table by itself.
    let directory: String?
    /// The tablet's manifest; nil for a table by itself.
    let manifest: ManifestReport?
    let tables: [TableLook]

    var findings: [InspectionFinding] { (manifest?.findings ?? []) + tables.flatMap(\.findings) }
    var tornTails: [String] { manifest?.tornTail.map { ["\($0)"] } ?? [] }
    var inspectors: [TableInspector] { tables.compactMap(\.inspector) }
}

/// Finds out what paths on a command line stand for.
struct Paths {
    let fileSystem: any FileSystem

    /// How deep tablets are looked for below a directory: data/groups/1/0-1-1 is three.
    private static let depthMax = 4

    func isDirectory(_ path: String) -> Bool {
        // What can be listed is one.
        (try? fileSystem.list(path)) != nil
    }

    /// The tables and tablets that the paths name.
    func targets(_ paths: [String]) throws(ToolFailure) -> [TableTarget] {
        guard !paths.isEmpty else {
            throw ToolFailure(.usage, "name a table file, a tablet's directory, or one above it")
        }
        var targets: [TableTarget] = []
        for path in paths.map(Self.trimmed) {
            try check(path)
            if isDirectory(path) {
                let tablets = tablets(in: path)
                guard !tablets.isEmpty else {
                    throw ToolFailure(.inputOutput, "\(path): no tablet is in this directory or below it")
                }
                targets += tablets.map { tablet($0) }
            } else {
                targets.append(table(path))
            }
        }
        return targets
    }

    /// Fails where there is nothing at `path`, or it may not be read.
    func check(_ path: String) throws(ToolFailure) {
        do throws(FileError) {
            _ = try fileSystem.list(path)
        } catch {
            guard error.reason == .permission || !fileSystem.exists(path) else { return }
            throw ToolFailure(.inputOutput, "\(error)")
        }
    }

    static func trimmed(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// The tablets in `directory` or below it.
    func tablets(in directory: String, depth: Int = 0) -> [String] {
        if ManifestInspection.isTablet(fileSystem, directory) { return [directory] }
        guard depth < Self.depthMax else { return [] }
        // What cannot be listed holds no tablet that could be read.
        return ((try? fileSystem.list(directory)) ?? []).flatMap { tablets(in: directory + "/" + $0, depth: depth + 1) }
    }

    func tablet(_ directory: String) -> TableTarget {
        let manifest = ManifestInspection.read(fileSystem, directory)
        let names = (try? fileSystem.list(directory)) ?? []
        if manifest.tables.isEmpty, !manifest.findings.isEmpty {
            // Without a manifest every table may be live.
            let tables = names.filter { $0.hasSuffix(".sst") }.map { look(directory + "/" + $0, nil, isLive: nil) }
            return TableTarget(directory: directory, manifest: manifest, tables: tables)
        }
        return TableTarget(
            directory: directory,
            manifest: manifest,
            tables: manifest.tables.map { look($0.path, $0, isLive: true) }
        )
    }

    private func table(_ path: String) -> TableTarget {
        let directory = parentDirectory(of: path)
        let manifest = ManifestInspection.read(fileSystem, directory)
        guard manifest.path != nil, !manifest.edits.isEmpty else {
            return TableTarget(directory: nil, manifest: nil, tables: [look(path, nil, isLive: nil)])
        }
        let name = fileName(of: path)
        let known = manifest.tables.first { $0.name == name }
        return TableTarget(directory: nil, manifest: nil, tables: [look(path, known, isLive: known != nil)])
    }

    private func look(_ path: String, _ expected: InspectedTable?, isLive: Bool?) -> TableLook {
        do throws(FileError) {
            let inspector = try TableInspector(fileSystem, path: path, expected: expected)
            return TableLook(path: path, inspector: inspector, expected: expected, isLive: isLive)
        } catch {
            var finding = InspectionFinding(unreadable: path, "\(error)")
            if error.reason == .notFound, expected != nil {
                finding = InspectionFinding(
                    file: path,
                    offset: 0,
                    length: expected?.size ?? 0,
                    what: "the file is missing"
                )
                finding.lost = "up to \(expected?.entryCount ?? 0) entries"
            }
            return TableLook(path: path, inspector: nil, expected: expected, isLive: isLive, failure: finding)
        }
    }
}

extension [InspectionFinding] {
    /// The findings with what to do next, where nothing better is known.
    func advised() -> [InspectionFinding] {
        map { finding in
            var finding = finding
            if finding.next == nil { finding.next = Self.advice(finding) }
            return finding
        }
    }

    private static func advice(_ finding: InspectionFinding) -> String {
        if finding.isInputOutput {
            return "check permissions and the disk (dmesg, smartctl), and run the command again"
        }
        let directory = parentDirectory(of: finding.file)
        if finding.isLive == false {
            return "nothing: the file is not live, and the next opening of the tablet removes it"
        }
        if finding.file.hasSuffix(".sst") {
            return
                "have the node's data rebuilt from its peers; what still reads: sstdump salvage \(directory) --into NEW_TABLET"
        }
        if finding.file.hasSuffix(".log") {
            return
                "do not start the node with it: replace the node; what still reads: walreplay salvage \(directory) --into NEW_LOG"
        }
        if finding.file.hasSuffix("node.yaml") { return "restore node.yaml from a backup, or replace the node" }
        if finding.file.hasSuffix("/MANIFEST") {
            return "replace the node; what the file says: walreplay records \(finding.file)"
        }
        return
            "have the node's data rebuilt from its peers; what the manifest says: sstdump manifest \(directory); the tables alone:"
            + " sstdump salvage \(directory) --into NEW_TABLET"
    }
}
