import CFuzzer
import Foundation
import KVFuzzing

// kvfuzz: libFuzzer over the targets of KVFuzzing. scripts/fuzz builds and runs it.
//
//   KV_FUZZ_TARGET=log kvfuzz [libFuzzer's options] CORPUS…    looks for inputs that trap
//   kvfuzz --list                                              the targets
//   KV_FUZZ_TARGET=log kvfuzz --seeds FOLDER                   writes the inputs to start with

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data("kvfuzz: \(text)\n".utf8))
    exit(2)
}

if CommandLine.arguments.contains("--list") {
    for target in FuzzTarget.all { print(target.name) }
    exit(0)
}
guard let name = ProcessInfo.processInfo.environment["KV_FUZZ_TARGET"], let target = FuzzTarget.named(name) else {
    fail("KV_FUZZ_TARGET names none of: \(FuzzTarget.all.map(\.name).joined(separator: ", "))")
}
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--seeds" {
    for (number, seed) in target.seeds().enumerated() {
        let path = CommandLine.arguments[2] + "/seed-\(number)"
        do { try Data(seed).write(to: URL(filePath: path)) } catch { fail("cannot write \(path): \(error)") }
    }
    exit(0)
}

/// What libFuzzer's callback, which may capture nothing, calls.
enum Chosen {
    static let run = FuzzTarget.named(ProcessInfo.processInfo.environment["KV_FUZZ_TARGET"] ?? "")?.run
}

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        Chosen.run?(UnsafeRawBufferPointer(start: bytes, count: count))
        return 0
    }
)
