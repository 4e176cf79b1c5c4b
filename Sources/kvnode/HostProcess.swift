import Glibc
import KVRESP

/// Writes to standard error, whole lines at once where the system allows it.
enum StandardError {
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let part = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[rest.indices])
                let written = Glibc.write(STDERR_FILENO, part.baseAddress, part.count)
                if written < 0 && errno == EINTR { continue }
                // Nobody reads what it says: there is nobody to tell.
                guard written > 0 else { return }
                rest = rest.dropFirst(written)
            }
        }
    }
}

/// The variables of the process.
///
/// Called once, before there are other threads.
func environmentVariables() -> [String: String] {
    var found: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
        let pair = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if pair.count == 2 { found[String(pair[0])] = String(pair[1]) }
        next += 1
    }
    return found
}

/// What a process must set before it serves.
enum HostProcess {
    /// Raises the number of open files to what the system allows, and lets a write to a closed socket be an error, not the end.
    static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // Where it is refused the lower limit stays, and connections past it are refused one by one.
        _ = setrlimit(resource, &limit)
    }

    /// How many processors it may use.
    static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Processor time used so far, in nanoseconds.
    static var processorNanoseconds: UInt64 {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Memory that is resident now, in bytes.
    static var residentBytes: UInt64 {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let words = line.prefix { $0 != 0 }.split(separator: CChar(UInt8(ascii: " ")))
        guard words.count > 1 else { return 0 }
        let text = String(decoding: words[1].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (UInt64(text) ?? 0) * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Memory and processor time, as INFO tells them.
    static var usage: ProcessUsage {
        var usage = rusage()
        let isKnown = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0
        let resident = residentBytes
        let microseconds = { (time: timeval) in UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_usec) }
        return ProcessUsage(
            residentBytes: resident,
            // The system tells it in KiB; it looks now and then, so that what is resident now may be more.
            residentBytesPeak: max(resident, isKnown ? UInt64(usage.ru_maxrss) * 1_024 : 0),
            userMicroseconds: isKnown ? microseconds(usage.ru_utime) : 0,
            systemMicroseconds: isKnown ? microseconds(usage.ru_stime) : 0
        )
    }

    /// How many descriptors are open.
    static var openDescriptors: Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without ".", ".." and the one that reads the directory.
        return max(0, count - 3)
    }
}
