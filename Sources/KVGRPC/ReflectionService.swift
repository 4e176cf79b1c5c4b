import FoundationEssentials
import GRPCCore
import GRPCProtobuf
import KVBase
import SwiftProtobuf

/// Server reflection: tells tools what is served here, from the descriptors that were made of the protos.
final class ReflectionService: RegistrableRPCService, Grpc_Reflection_V1_ServerReflection.ServiceProtocol {
    /// The service's older name, with the same messages, which some tools still ask for.
    private static let olderService = "grpc.reflection.v1alpha.ServerReflection"

    private let edge: GRPCEdge
    private let index: DescriptorIndex

    init(_ edge: GRPCEdge) {
        self.edge = edge
        index = DescriptorIndex(Base64.decode(servedDescriptors) ?? [])
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let service = Grpc_Reflection_V1_ServerReflection.descriptor.fullyQualifiedService
        for name in [service, Self.olderService] {
            router.registerHandler(
                forMethod: MethodDescriptor(fullyQualifiedService: name, method: GRPCMethod.reflection.rawValue),
                deserializer: ProtobufDeserializer<Grpc_Reflection_V1_ServerReflectionRequest>(),
                serializer: ProtobufSerializer<Grpc_Reflection_V1_ServerReflectionResponse>(),
                handler: { [self] request, context in
                    try await serverReflectionInfo(request: request, context: context)
                }
            )
        }
    }

    func serverReflectionInfo(
        request: StreamingServerRequest<Grpc_Reflection_V1_ServerReflectionRequest>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Grpc_Reflection_V1_ServerReflectionResponse> {
        await edge.stream(.reflection, request.metadata, context) { [index] call, writer in
            for try await message in request.messages {
                if context.cancellation.isCancelled { throw call.endedEarly }
                try await writer.write(index.answer(message))
            }
        }
    }
}

/// The descriptors of all files that are served, by name and by what they declare.
struct DescriptorIndex: Sendable {
    private struct File {
        var bytes: Data
        var dependencies: [String]
    }

    private(set) var services: [String] = []
    private var files: [String: File] = [:]
    private var fileOfSymbol: [String: String] = [:]

    /// - Parameter bytes: A serialized `FileDescriptorSet`; one that is none has no files.
    init(_ bytes: [UInt8]) {
        guard let set = try? Google_Protobuf_FileDescriptorSet(serializedBytes: bytes) else { return }
        for file in set.file {
            guard let bytes: Data = try? file.serializedBytes() else { continue }
            files[file.name] = File(bytes: bytes, dependencies: file.dependency)
            let package = file.package.isEmpty ? "" : file.package + "."
            for service in file.service {
                services.append(package + service.name)
                add(package + service.name, file.name)
                for method in service.method { add("\(package)\(service.name).\(method.name)", file.name) }
            }
            for message in file.messageType { add(message, package, file.name) }
            for kind in file.enumType { add(package + kind.name, file.name) }
        }
        services.sort()
    }

    private mutating func add(_ symbol: String, _ file: String) { fileOfSymbol[symbol] = file }

    private mutating func add(_ message: Google_Protobuf_DescriptorProto, _ prefix: String, _ file: String) {
        let name = prefix + message.name
        add(name, file)
        for inner in message.nestedType { add(inner, name + ".", file) }
        for kind in message.enumType { add("\(name).\(kind.name)", file) }
    }

    /// The answer to one question.
    func answer(
        _ request: Grpc_Reflection_V1_ServerReflectionRequest
    ) -> Grpc_Reflection_V1_ServerReflectionResponse {
        var response = Grpc_Reflection_V1_ServerReflectionResponse()
        response.validHost = request.host
        response.originalRequest = request
        switch request.messageRequest {
        case .fileByFilename(let name): fill(&response, file: name, asked: "file '\(name)'")
        case .fileContainingSymbol(let symbol):
            fill(&response, file: fileOfSymbol[symbol], asked: "symbol '\(symbol)'")
        case .listServices:
            response.listServicesResponse.service = services.map { name in
                var service = Grpc_Reflection_V1_ServiceResponse()
                service.name = name
                return service
            }
        case .allExtensionNumbersOfType(let type):
            if fileOfSymbol[type] == nil {
                refuse(&response, .notFound, "there is no type '\(type)' here")
            } else {
                response.allExtensionNumbersResponse.baseTypeName = type
            }
        case .fileContainingExtension: refuse(&response, .notFound, "there are no extensions here")
        case nil: refuse(&response, .invalidArgument, "the request asks for nothing")
        }
        return response
    }

    /// The file and all that it needs.
    private func fill(
        _ response: inout Grpc_Reflection_V1_ServerReflectionResponse,
        file name: String?,
        asked: String
    ) {
        guard let name, files[name] != nil else { return refuse(&response, .notFound, "there is no \(asked) here") }
        var (seen, open): (Set<String>, [String]) = ([name], [name])
        var found: [Data] = []
        while let next = open.popLast() {
            guard let file = files[next] else { continue }
            found.append(file.bytes)
            for dependency in file.dependencies where seen.insert(dependency).inserted { open.append(dependency) }
        }
        response.fileDescriptorResponse.fileDescriptorProto = found
    }

    private func refuse(
        _ response: inout Grpc_Reflection_V1_ServerReflectionResponse,
        _ code: Status.Code,
        _ message: String
    ) {
        response.errorResponse.errorCode = Int32(code.rawValue)
        response.errorResponse.errorMessage = message
    }
}
