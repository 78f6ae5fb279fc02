// swift-tools-version: 6.2
// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// The pure rooms again, through links, with the sanitizers in them. `dev/fuzz` builds and runs this.

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "adit",
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .target(name: "AditCore"),
        .systemLibrary(name: "CExpat", providers: [.apt(["libexpat1-dev"])]),
        .target(name: "AditWire", dependencies: ["AditCore", "CExpat"]),
        .target(name: "AditTraversal", dependencies: ["AditCore", "AditWire", "AditCrypto"]),
        .target(name: "CAditCrypto", dependencies: [crypto]),
        .target(name: "AditCrypto", dependencies: ["AditCore", "CAditCrypto", crypto]),
        .target(name: "AditTunnel", dependencies: ["AditCore", "AditWire", "AditCrypto"]),
        .target(name: "AditConfig", dependencies: ["AditCore", "TOMLKit", "Yams"]),
        .target(name: "CLibFuzzer"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "AditCore", "AditWire", "AditCrypto", "AditTunnel", "AditTraversal", "AditConfig", "CLibFuzzer",
            ],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
        ),
    ]
)

for target in package.targets where !target.name.hasPrefix("C") {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .enableUpcomingFeature("InferIsolatedConformances"),
        .unsafeFlags(["-sanitize=fuzzer,address"]),
    ]
}
