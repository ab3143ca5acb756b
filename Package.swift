// swift-tools-version: 6.1
// The rooms of tracefwd and who may import whom. Data goes one way: source -> intake -> spool -> pipeline -> delivery ->
// destination; a target names only what stands before it, so the compiler holds the architecture.
import PackageDescription

let package = Package(
    name: "tracefwd",
    products: [.executable(name: "tracefwd", targets: ["tracefwd"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.0"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // The system's libraries and the C that Swift cannot write: module maps and shims, no logic.
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CShim", dependencies: ["CSQLite", "CCurl", "CSystemd"]),

        // RE2 (Debian's libre2) behind plain C.
        .target(name: "CRegex", linkerSettings: [.linkedLibrary("re2")]),

        // What every room speaks of.
        .target(name: "SpanModel", dependencies: ["CShim", "CZlib"]),
        .target(name: "Journal", dependencies: ["CSystemd", "CShim", "Threading", .product(name: "Logging", package: "swift-log")]),
        .target(name: "Settings", dependencies: [.product(name: "Yams", package: "Yams")]),

        .target(name: "Threading", dependencies: ["CShim"]),
        // What the rules stand on. They know nothing of spans; the pipeline joins them.
        .target(name: "Patterns", dependencies: ["CRegex"]),
        .target(name: "CEL", dependencies: ["Patterns"]),
        .target(name: "Redaction", dependencies: ["CShim", "Patterns"]),
        .target(name: "Pricing", dependencies: ["Patterns"]),

        // The path of a span, in its order.
        .target(name: "Intake", dependencies: ["SpanModel", "CShim"]),
        .target(name: "Spool", dependencies: ["SpanModel", "Threading", "CSQLite", "CShim"]),
        .target(name: "Source", dependencies: ["Intake", "Spool", "Threading", "CShim"]),
        .target(name: "Pipeline", dependencies: ["SpanModel", "Settings", "CEL", "Patterns", "Redaction", "Pricing"]),
        .target(name: "Delivery", dependencies: ["Settings", "Intake", "Spool", "Pipeline", "Threading", "CCurl", "CShim"]),
        .target(
            name: "Destinations",
            dependencies: ["Delivery", "Settings", "CZlib", .product(name: "Crypto", package: "swift-crypto")]),
        .executableTarget(
            name: "tracefwd",
            dependencies: [
                "CEL", "CShim", "Settings", "Delivery", "Destinations", "Intake", "Journal", "Pipeline", "Redaction", "Source", "Spool",
                "Threading",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
            ]),

        .executableTarget(name: "cel-bench", dependencies: ["CEL"], path: "Tests/bench/cel"),
        .executableTarget(name: "redaction-bench", dependencies: ["Redaction"], path: "Tests/bench/redaction"),
        .executableTarget(name: "rules-bench", dependencies: ["Intake", "Pipeline", "Settings", "SpanModel"], path: "Tests/bench/rules"),
        .executableTarget(name: "pricing-bench", dependencies: ["Pricing"], path: "Tests/bench/pricing"),
        .executableTarget(
            name: "micro-bench", dependencies: ["Delivery", "Intake", "Pipeline", "SpanModel", "Spool", "Threading"],
            path: "Tests/bench/micro"),

        // What several tests share: chance that can be repeated, a disk in memory, children that begin.
        .target(name: "TestSupport", dependencies: ["CSQLite", "Spool", "Threading"], path: "Tests/Support"),
        .testTarget(name: "PatternsTests", dependencies: ["Patterns"]),
        .testTarget(name: "CELTests", dependencies: ["CEL"]),
        .testTarget(name: "RedactionTests", dependencies: ["Redaction", "CShim"]),
        .testTarget(name: "JournalTests", dependencies: ["Journal"]),
        .testTarget(name: "ThreadingTests", dependencies: ["Threading"]),
        .testTarget(name: "SpanModelTests", dependencies: ["SpanModel"]),
        .testTarget(name: "IntakeTests", dependencies: ["Intake"]),
        .testTarget(name: "SpoolTests", dependencies: ["Spool", "TestSupport"]),
        .testTarget(name: "SourceTests", dependencies: ["Source"]),
        .testTarget(name: "PipelineTests", dependencies: ["Pipeline", "Intake"]),
        .testTarget(name: "PricingTests", dependencies: ["Pricing"]),
        .testTarget(name: "DeliveryTests", dependencies: ["Delivery", "CEL", "Pipeline", "TestSupport"]),
        .testTarget(name: "DestinationsTests", dependencies: ["Destinations", "Delivery", "Intake", "Pipeline", "Spool", "TestSupport"]),
        .testTarget(name: "SettingsTests", dependencies: ["Settings", "Destinations"]),
    ]
)
