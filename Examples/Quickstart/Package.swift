// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "quickstart",
    dependencies: [.package(name: "kv", path: "../..")],
    targets: [.executableTarget(name: "quickstart", dependencies: [.product(name: "KVClient", package: "kv")])],
    swiftLanguageModes: [.v6]
)
