import Testing

@testable import KVConfiguration

struct SchemaTests {
    @Test func `every field of the configuration is set by one setting, and every setting sets one field`() {
        #expect(leafCount(NodeConfiguration()) == Schema.all.count)
        #expect(Set(Schema.all.map(\.path)).count == Schema.all.count)
        #expect(Set(Schema.all.map(\.variable)).count == Schema.all.count)
    }

    @Test(arguments: Schema.all.map(\.path))
    func `a default is in range, and setting a key by its variable shows as its own`(
        path: String
    ) throws {
        let setting = try #require(Schema.byPath[path])
        let text: String
        switch setting.fallback {
        case .text(let value), .required(let value): text = value
        case .none: return
        }
        var environment = ["KVNODE_NODE_ID": "1", "KVNODE_NODE_DATA_DIR": "data"]
        environment[setting.variable] = text
        let loaded = try ConfigurationLoader.load(.init(environment: environment))
        #expect(loaded.origin(of: path) == .environment(setting.variable))
        #expect(setting.documentation.hasSuffix("."))
    }

    /// How many settable fields a configuration has, its sections counted by what is in them.
    private func leafCount(_ value: Any) -> Int {
        Mirror(reflecting: value).children.reduce(0) { count, child in
            let isSection = String(reflecting: type(of: child.value)).hasPrefix("KVConfiguration.NodeConfiguration.")
            return count + (isSection ? leafCount(child.value) : 1)
        }
    }
}
