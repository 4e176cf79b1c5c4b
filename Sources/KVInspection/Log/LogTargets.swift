import KVEnvironment
import KVLog

/// What a command of `walreplay` was pointed at.
struct LogTarget {
    /// The files, oldest first.
    let files: [LogFileReport]
    /// The directory of segments; nil for files by themselves.
    let directory: String?
}

extension Paths {
    /// Where the segments are that `path` stands for: itself, or `log` in it.
    func logDirectory(_ path: String) -> String? {
        for directory in [path, path + "/log"] {
            // What cannot be listed is none.
            let names = (try? fileSystem.list(directory)) ?? []
            if names.contains(where: { LogFormat.segmentNumber($0) != nil }) { return directory }
        }
        return nil
    }

    /// Whether `path` is the data directory of a node.
    func isDataDirectory(_ path: String) -> Bool {
        fileSystem.exists(path + "/node.yaml") || fileSystem.exists(path + "/groups")
    }

    /// Reads the logs that the paths name; `body` gets each record that reads, with its file.
    func logs(
        _ names: [String],
        _ body: (String, LogRecord) -> Void = { _, _ in }
    ) throws(ToolFailure) -> [LogTarget] {
        guard !names.isEmpty else {
            throw ToolFailure(.usage, "name a log's directory, one of its files, or a data directory")
        }
        var targets: [LogTarget] = []
        for path in names.map(Self.trimmed) {
            try check(path)
            if isDirectory(path) {
                guard let directory = logDirectory(path) else {
                    throw ToolFailure(.inputOutput, "\(path): no log segments are in this directory or in log below it")
                }
                do throws(FileError) {
                    let files = try LogInspection.segments(fileSystem, directory: directory) { record in
                        body(directory + "/" + LogFormat.segmentName(record.place.number), record)
                    }
                    targets.append(LogTarget(files: files, directory: directory))
                } catch { throw ToolFailure(.inputOutput, "\(error)") }
            } else {
                let file = LogInspection.file(fileSystem, path: path) { body(path, $0) }
                targets.append(LogTarget(files: [file], directory: nil))
            }
        }
        return targets
    }
}

extension LogTarget {
    /// Where the log ends in a write that was never acknowledged.
    var tornTails: [String] {
        guard let last = files.last, case .tornTail(let place) = last.verdict else { return [] }
        return ["\(place)"]
    }
}
