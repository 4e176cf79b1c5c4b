import KVEnvironment

extension FileSystem {
    /// Copies a file into a new one and returns after its bytes are on stable storage.
    func copyFile(_ from: String, to: String) throws(FileError) {
        let source = try open(from, .read)
        defer { source.close() }
        let target = try open(to, .createNew)
        defer { target.close() }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        while true {
            let place = offset
            let count = try buffer.withUnsafeMutableBufferPointer { (bytes) throws(FileError) -> Int in
                let view = UnsafeMutableRawBufferPointer(bytes)
                let count = try source.read(into: view, at: place)
                if count > 0 { try target.write(UnsafeRawBufferPointer(rebasing: view[..<count]), at: place) }
                return count
            }
            guard count > 0 else { break }
            offset += UInt64(count)
        }
        try target.synchronize()
    }

    /// Makes `directory` for a tool to write into.
    /// - Throws: where something is in it already: what is there is never written to.
    func makeNewDirectory(_ directory: String) throws(ToolFailure) {
        do throws(FileError) {
            if exists(directory) {
                let names = try list(directory)
                guard names.isEmpty else {
                    throw FileError(.create, path: directory, reason: .exists)
                }
            }
            try createDirectory(directory)
            try synchronizeDirectory(parentDirectory(of: directory))
        } catch {
            if error.reason == .exists {
                throw ToolFailure(.inputOutput, "\(directory) is there and not empty: name a new directory")
            }
            throw ToolFailure(.inputOutput, "\(error)")
        }
    }
}
