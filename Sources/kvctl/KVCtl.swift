import ArgumentParser
import KVClient
import TextTable

@main
struct KVCtl: AsyncParsableCommand {
    mutating func run() async throws {}
}
