// swift-tools-version: 6.2
// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// The rooms and their arrows are explained in docs/architecture.md and held by ArchitectureTests.

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioLocks: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK: Target.Dependency = .product(name: "NIOHPACK", package: "swift-nio-http2")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "adit",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "adit", targets: ["adit"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // Pure rooms: no sockets, clocks, randomness or tasks.
        .target(name: "AditCore"),
        .target(name: "AditWire", dependencies: ["AditCore", "CExpat"]),
        .target(name: "AditCrypto", dependencies: ["AditCore", "CAditCrypto", crypto]),
        .target(name: "AditTunnel", dependencies: ["AditCore", "AditWire", "AditCrypto"]),
        .target(name: "AditTraversal", dependencies: ["AditCore", "AditWire", "AditCrypto"]),
        .target(name: "AditLab", dependencies: ["AditCore", "AditWire", "AditCrypto", "AditTraversal"]),
        .target(
            name: "AditConfig",
            dependencies: ["AditCore", "TOMLKit", "Yams"]
        ),
        // Rooms with sockets.
        .target(
            name: "AditTransport",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "CAditPlatform", "CAditQUIC",
                nioCore, nioPosix, nioHTTP1, nioTLS, nioSSL, crypto, x509, asn1, logging, collections,
            ]
        ),
        .target(
            name: "AditServer",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditConfig", "AditTransport",
                nioCore, nioLocks, nioPosix, nioHTTP1, nioHTTP2, nioHPACK, nioTLS, nioSSL, logging,
                .product(name: "GRDB", package: "GRDB.swift"),
            ]
        ),
        .target(
            name: "AditClient",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditConfig", "AditTransport",
                nioCore, nioPosix, nioHTTP1, nioSSL, logging,
            ]
        ),
        .executableTarget(
            name: "adit",
            dependencies: [
                "AditCore", "AditConfig", "AditCrypto", "AditTraversal", "AditLab", "AditTransport", "AditServer",
                "AditClient", nioCore, nioLocks, nioPosix, nioSSL, logging, arguments,
            ]
        ),
        // C: what Swift's Glibc module does not offer, BoringSSL's calls behind one door, and QUIC behind another. The archives
        // of ngtcp2 are linked, so that the program needs no library of the system at run time.
        .target(name: "CAditPlatform"),
        .systemLibrary(name: "CExpat", providers: [.apt(["libexpat1-dev"])]),
        .target(name: "CAditCrypto", dependencies: [crypto]),
        .systemLibrary(
            name: "CNGTCP2",
            providers: [.apt(["libngtcp2-dev", "libngtcp2-crypto-gnutls-dev"])]
        ),
        .target(
            name: "CAditQUIC",
            dependencies: ["CNGTCP2", nioSSL],
            linkerSettings: [.linkedLibrary(":libngtcp2_crypto_gnutls.a"), .linkedLibrary(":libngtcp2.a")]
        ),
        // Tests.
        .testTarget(name: "AditCoreTests", dependencies: ["AditCore"]),
        .testTarget(name: "AditWireTests", dependencies: ["AditCore", "AditWire"]),
        .testTarget(name: "AditCryptoTests", dependencies: ["AditCore", "AditWire", "AditCrypto"]),
        .testTarget(name: "AditTunnelTests", dependencies: ["AditCore", "AditWire", "AditCrypto", "AditTunnel"]),
        .testTarget(
            name: "AditTraversalTests",
            dependencies: ["AditCore", "AditWire", "AditCrypto", "AditTraversal", "AditLab"]
        ),
        .testTarget(
            name: "AditLabTests",
            dependencies: ["AditCore", "AditWire", "AditCrypto", "AditTraversal", "AditLab"]
        ),
        .testTarget(
            name: "AditConfigTests",
            dependencies: ["AditCore", "AditConfig"]
        ),
        .testTarget(
            name: "AditTransportTests",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditTransport",
                nioCore, nioPosix, nioEmbedded, nioSSL, logging,
            ]
        ),
        .testTarget(
            name: "AditServerTests",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditConfig", "AditTransport",
                "AditServer", nioCore, nioLocks, nioPosix, nioEmbedded, nioHTTP1, nioHTTP2, nioHPACK, nioSSL, logging,
            ]
        ),
        .testTarget(
            name: "AditClientTests",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditConfig", "AditTransport",
                "AditClient", nioCore, nioPosix, nioEmbedded, logging,
            ]
        ),
        .testTarget(
            name: "AditCommandTests",
            dependencies: [
                "AditCore", "AditConfig", "AditTraversal", "AditLab", "AditClient", "AditServer", "adit", nioCore,
                nioEmbedded, nioLocks, arguments,
            ]
        ),
        .testTarget(
            name: "AditEndToEndTests",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditConfig", "AditTransport",
                "AditServer", "AditClient", nioCore, nioPosix, nioHTTP1, nioHTTP2, nioHPACK, nioSSL, logging,
            ]
        ),
        .testTarget(name: "ArchitectureTests", dependencies: ["AditCore", "AditConfig"]),
    ]
)

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
]

for target in package.targets where target.name.hasPrefix("C") == false {
    target.swiftSettings = (target.swiftSettings ?? []) + settings
}
for target in package.targets where ["AditCore", "AditWire", "AditCrypto"].contains(target.name) {
    target.swiftSettings?.append(.strictMemorySafety())
}
