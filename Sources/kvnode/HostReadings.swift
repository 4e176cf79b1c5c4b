import Glibc

/// What the system has left for this process, at one moment.
struct HostReadings: Sendable, Equatable {
    /// Room on a disk.
    struct Disk: Sendable, Equatable {
        /// What it holds: `data`, `log`.
        var place: String
        var free: UInt64
        var size: UInt64
    }

    var disks: [Disk] = []
    var residentBytes: UInt64 = 0
    /// Its control group's bound, else the machine's memory.
    var memoryLimitBytes: UInt64 = 0
    var virtualBytes: UInt64 = 0
    var openDescriptors = 0
    var descriptorsMax = 0
    var threads = 0

    /// Asks the system.
    ///
    /// May block on a slow disk.
    static func take(_ places: [(name: String, path: String)]) -> HostReadings {
        var found = HostReadings()
        for place in places {
            var disk = statvfs()
            guard statvfs(place.path, &disk) == 0 else { continue }
            let unit = UInt64(disk.f_frsize)
            found.disks.append(
                Disk(place: place.name, free: UInt64(disk.f_bavail) * unit, size: UInt64(disk.f_blocks) * unit)
            )
        }
        found.residentBytes = HostProcess.residentBytes
        found.memoryLimitBytes = memoryLimit
        found.virtualBytes = HostProcess.virtualBytes
        found.openDescriptors = HostProcess.openDescriptors
        found.descriptorsMax = HostProcess.descriptorsMax
        found.threads = HostProcess.threads
        return found
    }

    /// The least of what the control group allows and what the machine has.
    static var memoryLimit: UInt64 {
        let machine = UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
        let lines = HostProcess.text("/proc/self/cgroup").split(separator: "\n")
        // Version 2 has one line, "0::/path".
        let path = lines.first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) } ?? "/"
        let bounds = ["/sys/fs/cgroup\(path)/memory.max", "/sys/fs/cgroup/memory.max"].compactMap {
            UInt64(HostProcess.text($0).prefix { $0.isNumber })
        }
        return bounds.reduce(machine, min)
    }
}

extension HostProcess {
    /// The first 4 KiB of a small file of the system; empty where there is none.
    static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Address space, in bytes.
    static var virtualBytes: UInt64 {
        let pages = text("/proc/self/statm").split(separator: " ").first.flatMap { UInt64($0) } ?? 0
        return pages * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
    }

    /// How many descriptors may be open.
    static var descriptorsMax: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }

    /// How many threads there are.
    static var threads: Int {
        guard let directory = opendir("/proc/self/task") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return max(0, count - 2)
    }
}
