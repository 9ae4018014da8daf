// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
//
// Package.swift
// Targets in the order of the graph: a target imports only targets that stand above it.

import PackageDescription

/// Settings of every Swift target.
///
/// Strict memory safety is an error except where C is wrapped.
func settings(wrapsC: Bool = false) -> [SwiftSetting] {
    var settings: [SwiftSetting] = [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ]
    if !wrapsC {
        settings.append(.strictMemorySafety())
        settings.append(.treatWarning("StrictMemorySafety", as: .error))
    }
    // Deliberate bugs for the simulator: in debug builds, or on request; never in a product.
    settings.append(.define("MUTATIONS", .when(configuration: .debug)))
    if Context.environment["GOULETTE_MUTATIONS"] != nil { settings.append(.define("MUTATIONS")) }
    if Context.environment["GOULETTE_WARNINGS_AS_ERRORS"] != nil {
        settings.append(.treatAllWarnings(as: .error))
    }
    return settings
}

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")

/// With `specializes`, generic types of the target are compiled again for their users: the core of `Raft` is four times
/// as fast when its users know its payload.
func library(
    _ name: String, _ dependencies: [Target.Dependency], wrapsC: Bool = false, specializes: Bool = false
) -> Target {
    var swiftSettings = settings(wrapsC: wrapsC)
    if specializes {
        swiftSettings.append(.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)))
    }
    return .target(name: name, dependencies: dependencies, exclude: ["README.md"], swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.target(name: name), "TestSupport"] + dependencies,
        resources: resources, swiftSettings: settings(wrapsC: true))
}

let package = Package(
    name: "goulette",
    products: [
        .executable(name: "goulette", targets: ["goulette"]),
        .executable(name: "logstore-inspect", targets: ["logstore-inspect"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // C
        .target(
            name: "CRocksDB",
            exclude: ["README.md"],
            linkerSettings: [
                .linkedLibrary(":librocksdb.a"), .linkedLibrary(":libsnappy.a"), .linkedLibrary(":liblz4.a"),
                .linkedLibrary(":libbz2.a"), .linkedLibrary(":libz.a"), .linkedLibrary(":libzstd.a"),
                .linkedLibrary(":libgflags.a"), .linkedLibrary("stdc++"), .linkedLibrary("m"),
            ]),
        .target(
            name: "CCodecs",
            exclude: ["README.md"],
            linkerSettings: [
                .linkedLibrary(":libzstd.a"), .linkedLibrary(":liblz4.a"), .linkedLibrary(":libsnappy.a"),
                .linkedLibrary(":libz.a"), .linkedLibrary("stdc++"),
            ]),

        // Libraries, each knowing only those above it
        library("Model", []),
        library("Raft", ["Model", collections], specializes: true),
        library("Records", ["Model", "CCodecs", nioCore], wrapsC: true),
        library("RocksKV", ["Model", "CRocksDB"], wrapsC: true),
        library("Telemetry", ["Model", logging]),
        library("Settings", ["Model", "Yams"]),
        library("KafkaProtocol", ["Model", "Records", nioCore]),
        library("LogStore", ["Model", "Records", "RocksKV", "Telemetry", nioCore, logging, collections]),
        library("Simulation", ["Model", "Raft", "Records", "LogStore", nioCore, logging]),
        library(
            "Replication",
            ["Model", "Raft", "Records", "LogStore", "Telemetry", nioCore, nioPosix, nioSSL, logging]),
        library(
            "Broker",
            [
                "Model", "Raft", "Records", "KafkaProtocol", "LogStore", "Replication", "Settings", "Telemetry",
                nioCore, logging, collections,
            ]),
        library("PlainHTTP", [nioCore, nioPosix, nioHTTP1]),
        library("Discovery", ["Model", "Settings", "Telemetry", "PlainHTTP", nioCore, nioPosix, logging]),
        library("KafkaServer", ["Model", "KafkaProtocol", "Telemetry", nioCore, nioPosix, logging, collections]),
        library("Admin", ["Model", "Telemetry", nioCore, nioPosix, nioHTTP1, logging]),
        library("KafkaClient", ["Model", "Records", "KafkaProtocol", nioCore, nioPosix, collections]),
        library("Terminal", ["Model"]),

        // Executables
        .executableTarget(
            name: "goulette",
            dependencies: [
                "Model", "Raft", "Records", "KafkaProtocol", "LogStore", "Replication", "Broker", "PlainHTTP",
                "Discovery", "KafkaServer", "Admin", "Settings", "Telemetry", "KafkaClient", "Terminal", nioCore,
                nioPosix, logging, arguments, lifecycle,
                signals,
            ],
            swiftSettings: settings()),
        .executableTarget(
            name: "logstore-inspect",
            dependencies: ["Model", "Raft", "Records", "LogStore", "Broker", "Terminal", nioCore, arguments],
            path: "tools/logstore-inspect",
            swiftSettings: settings()),
        .executableTarget(
            name: "simulator", dependencies: ["Raft", "Simulation", arguments], path: "tools/simulator",
            swiftSettings: settings()),
        .executableTarget(
            name: "replica-benchmark",
            dependencies: ["Model", "Raft", "Records", "LogStore", "Replication", nioCore, nioEmbedded, logging],
            path: "Benchmarks/replication", swiftSettings: settings(wrapsC: true)),
        .executableTarget(
            name: "raft-benchmark", dependencies: ["Model", "Raft"], path: "Benchmarks/raft",
            exclude: ["allocations.c"], swiftSettings: settings()),
        .executableTarget(
            name: "peer-benchmark",
            dependencies: [
                "Model", "Raft", "Records", "LogStore", "Replication", "Telemetry", nioCore, nioPosix, logging,
            ],
            path: "Benchmarks/peer", swiftSettings: settings()),

        // Tests
        .target(
            name: "TestSupport", dependencies: [logging], path: "Tests/TestSupport",
            swiftSettings: settings(wrapsC: true)),
        .target(
            name: "PeerTestSupport", dependencies: ["Model", "Replication", nioCore], path: "Tests/PeerTestSupport",
            swiftSettings: settings(wrapsC: true)),
        .target(
            name: "CrashScenario", dependencies: ["Model", "Records", "RocksKV", "LogStore", nioCore, logging],
            path: "Tests/CrashScenario", swiftSettings: settings(wrapsC: true)),
        tests("Model", []),
        tests("Raft", ["Model"], resources: [.copy("Scripts")]),
        tests("Simulation", ["Model", "Raft"], resources: [.copy("mutations.txt")]),
        tests("Records", ["Model", nioCore]),
        tests("RocksKV", ["Model"]),
        tests("Telemetry", ["Model", logging]),
        tests("Settings", ["Model"]),
        tests("KafkaProtocol", ["Model", "Records", nioCore], resources: [.copy("Vectors")]),
        // A process that the tests start and that kills itself; not a product.
        .executableTarget(
            name: "crash-child", dependencies: ["CrashScenario", "LogStore", nioCore],
            path: "Tests/CrashChild", swiftSettings: settings(wrapsC: true)),
        tests("LogStore", ["Model", "Records", "RocksKV", "Telemetry", "CrashScenario", nioCore, logging]),
        tests(
            "Replication",
            [
                "Model", "Raft", "Records", "RocksKV", "LogStore", "Telemetry", "PeerTestSupport", "CrashScenario",
                nioCore,
                nioPosix, nioEmbedded, logging,
            ]),
        tests(
            "Broker",
            [
                "Model", "Raft", "Records", "KafkaProtocol", "LogStore", "Replication", "Settings", "Telemetry",
                "PeerTestSupport", nioCore, nioPosix, nioEmbedded, logging,
            ]),
        tests("KafkaServer", ["Model", "KafkaProtocol", "Telemetry", nioCore, nioPosix, nioEmbedded, logging]),
        tests("Discovery", ["Model", "Settings", "Telemetry", "PlainHTTP", nioCore, nioPosix, nioHTTP1, logging]),
        tests("Admin", ["Model", "Telemetry", nioCore, nioPosix, nioHTTP1, logging]),
        tests("KafkaClient", ["Model", "Records", "KafkaProtocol", nioCore, nioPosix]),
        tests("Terminal", ["Model"]),
        .testTarget(name: "TidyTests", dependencies: [], swiftSettings: settings(wrapsC: true)),
    ],
    cxxLanguageStandard: .cxx17
)
