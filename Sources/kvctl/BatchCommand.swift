import ArgumentParser
import Foundation
import KVClient

struct BatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch",
        abstract:
            "Do operations of one slot together or not at all: JSON from a file or standard input; see docs/http.md.",
        discussion: """
            {"conditions":[{"keyUtf8":"a","ifVersion":"3"}],"operations":[{"op":"put","keyUtf8":"a","valueUtf8":"v"}]} and the like; exit 5 \
            where a condition does not hold. With --idempotency-key the same command may be given again and is done once.
            """
    )
    @OptionGroup var global: GlobalOptions
    @Option(help: ArgumentHelp("Whoever sends the same again within a day gets the first answer.", valueName: "text"))
    var idempotencyKey: String?
    @Argument(help: "The file, or - for standard input.", completion: .file()) var file: String

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let body: [UInt8]
            do {
                body =
                    file == "-"
                    ? try Array(FileHandle.standardInput.readToEnd() ?? Data())
                    : try Array(Data(contentsOf: URL(fileURLWithPath: file)))
            } catch {
                throw CtlFailure(.error, "file", "\(file) cannot be read")
            }
            // A key of our own, so that another node may be asked where one did not take it.
            let answer = try await session.client.batch(body, idempotencyKey: idempotencyKey ?? UUID().uuidString)
            switch global.output {
            case .json: try writeJSON(JSONDecoder().decode(DataNode.self, from: Data(answer)))
            case .table: write(answer.last == 0x0a ? answer : answer + [0x0a])
            }
            return .ok
        }
    }
}
