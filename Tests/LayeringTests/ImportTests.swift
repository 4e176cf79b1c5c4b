import Testing

@Suite struct `imports` {
    @Test func `every module imports only what its layer allows`() throws {
        var problems: [String] = []
        for file in try SourceTree.swiftFiles(in: "Sources") where !file.isGenerated {
            // A folder without a layer is found by the test below.
            guard let layer = Layer.table[file.module] else { continue }
            for (index, line) in file.lines.enumerated() {
                guard let module = ImportScanner.module(in: line), module != file.module, !layer.allows(module) else {
                    continue
                }
                problems.append(
                    "\(file.path):\(index + 1): imports \(module); \(file.module) may import \(layer.allowed)"
                )
            }
        }
        #expect(problems == [])
    }

    @Test func `no module passes another one on`() throws {
        let files = try SourceTree.swiftFiles(in: "Sources")
        #expect(files.filter { $0.lines.contains { $0.contains("@_exported") } }.map(\.path) == [])
    }

    @Test func `every folder of Sources is in the table`() throws {
        let folders = Set(try SourceTree.modules(in: "Sources"))
        #expect(folders.subtracting(Layer.table.keys).sorted() == [])
    }

    @Test func `the table has no cycle`() {
        // Modules whose imports are all settled are settled; what stays goes round in a circle.
        var settled: Set<String> = []
        var left = Layer.table
        while let next = left.first(where: { $0.value.ours.isSubset(of: settled) }) {
            settled.insert(next.key)
            left[next.key] = nil
        }
        #expect(left.keys.sorted() == [])
    }

    @Test(arguments: [
        ("import Foundation", "Foundation"), ("package import KVBase", "KVBase"), ("@testable import KVLog", "KVLog"),
        ("internal import struct Logging.Logger", "Logging"), ("import CLibZstd // why", "CLibZstd"),
        ("@preconcurrency public import NIOCore", "NIOCore"),
    ]) func `an import line is understood`(_ line: String, _ module: String) {
        #expect(ImportScanner.module(in: line[...]) == module)
    }

    @Test(arguments: ["// import Foundation", "let important = 1", "", "importFile()"])
    func `other lines are no imports`(_ line: String) {
        #expect(ImportScanner.module(in: line[...]) == nil)
    }
}

extension Layer {
    fileprivate func allows(_ module: String) -> Bool {
        ours.contains(module) || foreign.contains(module) || Self.everywhere.contains(module)
    }

    /// What it may import, for a message.
    fileprivate var allowed: String { ours.union(foreign).sorted().joined(separator: ", ") }
}
