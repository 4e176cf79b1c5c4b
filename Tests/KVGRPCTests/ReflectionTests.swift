import Foundation
import KVBase
import SwiftProtobuf
import Testing

@testable import KVGRPC

@Suite struct ReflectionTests {
    private let index = DescriptorIndex(Base64.decode(servedDescriptors) ?? [])

    private func answer(
        _ ask: (inout Grpc_Reflection_V1_ServerReflectionRequest) -> Void
    ) -> Grpc_Reflection_V1_ServerReflectionResponse {
        var request = Grpc_Reflection_V1_ServerReflectionRequest()
        request.host = "h"
        ask(&request)
        let response = index.answer(request)
        #expect(response.originalRequest == request)
        #expect(response.validHost == "h")
        return response
    }

    @Test func `all services are listed`() {
        let response = answer { $0.listServices = "" }
        #expect(
            response.listServicesResponse.service.map(\.name) == [
                "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "kv.v1.KV",
            ]
        )
    }

    @Test(arguments: [
        "kv.v1.KV", "kv.v1.KV.Get", "kv.v1.GetRequest", "kv.v1.BatchRequest.Operation", "kv.v1.Consistency",
    ])
    func `a symbol is found in its file`(symbol: String) throws {
        let files = answer { $0.fileContainingSymbol = symbol }.fileDescriptorResponse.fileDescriptorProto
        let file = try Google_Protobuf_FileDescriptorProto(serializedBytes: try #require(files.first))
        #expect(file.name == "kv/v1/kv.proto")
        #expect(file.package == "kv.v1")
    }

    @Test func `a file is found by its name`() {
        let found = answer { $0.fileByFilename = "grpc/health/v1/health.proto" }
        #expect(found.fileDescriptorResponse.fileDescriptorProto.count == 1)
    }

    @Test func `what is not there is said to be not there`() {
        #expect(answer { $0.fileContainingSymbol = "kv.v1.Nothing" }.errorResponse.errorCode == 5)
        #expect(answer { $0.fileByFilename = "x" }.errorResponse.errorCode == 5)
        #expect(answer { $0.allExtensionNumbersOfType = "x" }.errorResponse.errorCode == 5)
        #expect(answer { $0.fileContainingExtension = .init() }.errorResponse.errorCode == 5)
        #expect(answer { _ in }.errorResponse.errorCode == 3)
    }

    @Test func `descriptors that are none have no services`() {
        #expect(DescriptorIndex([0xff, 1, 2]).services.isEmpty)
    }

    /// The rest of what is generated is compared by scripts/generate-protos --check, which has to build the plug-ins.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/protoc"), "protoc is not installed"))
    func `the descriptors are those of Protos`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = FileManager.default.temporaryDirectory.appending(path: "descriptors-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/protoc")
        process.currentDirectoryURL = root
        process.arguments = [
            "--proto_path=Protos", "--descriptor_set_out=\(file.path)", "--include_imports", "kv/v1/kv.proto",
            "grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto",
        ]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        let made = try Google_Protobuf_FileDescriptorSet(serializedBytes: Data(contentsOf: file))
        let kept = try Google_Protobuf_FileDescriptorSet(serializedBytes: Base64.decode(servedDescriptors) ?? [])
        #expect(made == kept, "run scripts/generate-protos")
    }
}
