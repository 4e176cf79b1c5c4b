import Foundation

/// What this process has used so far, by the kernel's account.
struct ProcessUsage {
    /// Processor time of all threads, user and system.
    let cpuSeconds: Double
    /// Bytes that were to go to the disk.
    let bytesWritten: UInt64

    init() {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let seconds = Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        cpuSeconds = seconds + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
        bytesWritten = Self.field("write_bytes:", of: "/proc/self/io") ?? 0
    }

    /// Lets the peak of resident memory begin anew.
    static func restartPeak() {
        // Where the kernel refuses, the peak is the process's: an upper bound.
        guard let handle = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return }
        try? handle.write(contentsOf: Data("5".utf8))
        try? handle.close()
    }

    /// The most resident memory since the last `restartPeak`.
    static var peakBytes: UInt64 { (field("VmHWM:", of: "/proc/self/status") ?? 0) * 1024 }

    /// The resident memory now.
    static var residentBytes: UInt64 { (field("VmRSS:", of: "/proc/self/status") ?? 0) * 1024 }

    private static func field(_ name: String, of path: String) -> UInt64? {
        // Zero where the kernel does not tell: a figure that is missing, not a wrong one.
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return line.dropFirst(name.count).split(whereSeparator: { $0 == " " || $0 == "\t" }).first.flatMap {
                UInt64($0)
            }
        }
        return nil
    }
}

/// What a directory takes on the disk, its files together.
func allocatedBytes(below directory: String) -> UInt64 {
    guard let names = FileManager.default.enumerator(atPath: directory) else { return 0 }
    var sum: UInt64 = 0
    for case let name as String in names {
        var status = stat()
        guard lstat(directory + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
        sum += UInt64(status.st_blocks) * 512
    }
    return sum
}
