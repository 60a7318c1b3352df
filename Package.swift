// swift-tools-version: 6.2
import PackageDescription

/// One way to build everything: language mode 6, and a warning is an error.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// A floor of the house: its dependencies are the only modules it may know of.
func floor(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: name + "Tests",
    dependencies: [.target(name: name)] + dependencies,
    swiftSettings: settings
  )
}

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
  name: "ArgumentParser",
  package: "swift-argument-parser"
)
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
  name: "wdsfs",
  products: [
    .executable(name: "wdsfs", targets: ["WDSFS"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(
      name: "CCompression",
      providers: [
        .apt(["zlib1g-dev", "libzstd-dev", "liblz4-dev", "libbz2-dev", "liblzma-dev"])
      ]
    ),
    .systemLibrary(
      name: "CCurl",
      pkgConfig: "libcurl",
      providers: [.apt(["libcurl4-openssl-dev"])]
    ),
    .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .systemLibrary(name: "CProcess"),
    .target(
      name: "CImage",
      linkerSettings: ["jpeg", "png", "webp"].map { .linkedLibrary($0) }
    ),
    floor("Instruments", [metrics]),
    floor("Remote", ["Instruments", system]),
    floor("S3Client", ["Instruments", "Remote", "CCurl", "CProcess", crypto, logging]),
    floor("TarIndex", ["CXXHash", crypto]),
    floor("Decompression", ["CCompression", "TarIndex"]),
    floor("Schema", ["CImage", "CProcess", "Decompression"]),
    floor("SampleOrder"),
    floor(
      "ShardCache",
      ["Remote", "TarIndex", "Decompression", "CXXHash", deque, logging]
    ),
    floor(
      "SampleTree",
      ["Instruments", "Remote", "Schema", "ShardCache", "SampleOrder", "TarIndex", deque, logging]
    ),
    floor(
      "FuseMount",
      ["CFuse", "Instruments", "Remote", "ShardCache", "SampleTree", logging]
    ),
    .executableTarget(
      name: "WDSFS",
      dependencies: [
        "CProcess", "Decompression", "FuseMount", "Instruments", "Remote", "S3Client",
        "SampleOrder", "SampleTree", "Schema",
        "ShardCache", "TarIndex", arguments, crypto, logging, metrics,
      ],
      // In the program itself, which needs no file beside it.
      resources: ["html", "css", "js"].map { .embedInCode("MetricsServer/Page/page.\($0)") },
      swiftSettings: settings
    ),
    .target(
      name: "TestSupport",
      dependencies: ["Remote"],
      path: "Tests/TestSupport",
      swiftSettings: settings
    ),
    tests(of: "Instruments", [metrics]),
    .target(
      name: "FuzzTargets",
      dependencies: ["Decompression", "Remote", "S3Client", "SampleOrder", "Schema", "TarIndex"],
      path: "Tests/FuzzTargets",
      swiftSettings: settings
    ),
    .testTarget(
      name: "FuzzTests",
      dependencies: ["FuzzTargets", "TestSupport"],
      swiftSettings: settings
    ),
    tests(of: "Remote", ["TestSupport"]),
    tests(of: "S3Client", ["Remote", "TestSupport", logging]),
    tests(of: "TarIndex", ["Remote", "TestSupport", "CXXHash", crypto]),
    tests(of: "Decompression", ["CCompression", "TarIndex", crypto]),
    .testTarget(
      name: "ShardFormatTests",
      dependencies: ["Decompression", "TarIndex", "TestSupport", crypto],
      swiftSettings: settings
    ),
    tests(of: "Schema"),
    tests(of: "SampleOrder"),
    tests(
      of: "ShardCache",
      ["CCompression", "Decompression", "Remote", "TarIndex", "TestSupport", logging]
    ),
    tests(
      of: "SampleTree",
      [
        "Instruments", "Remote", "SampleOrder", "Schema", "ShardCache", "TarIndex", "TestSupport",
        logging,
      ]
    ),
    tests(of: "FuseMount", ["Instruments", "Remote", "SampleTree", "ShardCache", "TestSupport"]),
    tests(
      of: "WDSFS",
      [
        "Instruments", "Remote", "SampleOrder", "SampleTree", "Schema", "TestSupport", arguments,
        logging,
      ]
    ),
  ]
)

// What only measuring needs is not built, nor fetched, by anybody else: see scripts/bench --floors.
if Context.environment["WDSFS_BENCHMARKS"] != nil {
  package.dependencies.append(
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: [])
  )
  package.targets.append(
    .executableTarget(
      name: "FloorBenchmarks",
      dependencies: [
        "Remote", "S3Client", "SampleOrder", "ShardCache", "TarIndex", "TestSupport", logging,
        .product(name: "Benchmark", package: "benchmark"),
      ],
      path: "Benchmarks/FloorBenchmarks",
      swiftSettings: settings,
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
    )
  )
}

// libFuzzer brings a start of the program of its own, which only a build with -sanitize=fuzzer has.
if Context.environment["WDSFS_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "Fuzz",
      dependencies: ["FuzzTargets"],
      path: "Tests/Fuzz",
      exclude: ["corpus"],
      swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])]
    )
  )
}
