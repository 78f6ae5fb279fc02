// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditClient

@Suite struct TargetRulesTests {
    private static let target = TunnelTarget(scheme: .http, host: "metadata", port: 80)

    @Test(
        "Addresses that hand out secrets, or are no machine's, are refused",
        arguments: [
            "169.254.169.254", "169.254.1.1", "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0", "::",
        ]
    )
    func refuses(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(TargetRules.refusal(of: address, target: Self.target, isAllowed: false)?.code == .targetRefused)
        #expect(TargetRules.refusal(of: address, target: Self.target, isAllowed: true) == nil)
    }

    @Test(
        "Loopback and the local network are targets",
        arguments: ["127.0.0.1", "::1", "192.168.1.5", "10.0.0.1", "fd00::1", "203.0.113.7"]
    )
    func accepts(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(TargetRules.refusal(of: address, target: Self.target, isAllowed: false) == nil)
    }

    @Test(
        "A port that is attacked needs a word",
        arguments: [22, 23, 445, 2375, 3306, 3389, 5432, 5900, 6379, 9200, 27017] as [UInt16]
    )
    func gate(port: UInt16) throws {
        let target = TunnelTarget(scheme: .tcp, host: "localhost", port: port)
        let error = try #require(TargetRules.riskyPortGate(target, isPublic: false, allow: []))
        #expect(error.code == .riskyPort)
        #expect(error.fix?.english.hasSuffix("adit tcp \(port) --public") == true)
        #expect(TargetRules.riskyPortGate(target, isPublic: true, allow: []) == nil)
        #expect(TargetRules.riskyPortGate(target, isPublic: false, allow: [try #require(CIDR("10.0.0.0/8"))]) == nil)
    }

    @Test("Other ports open without a word")
    func noGate() {
        let target = TunnelTarget(scheme: .tcp, host: "localhost", port: 25565)
        #expect(TargetRules.riskyPortGate(target, isPublic: false, allow: []) == nil)
    }

    @Test("A tunnel to its own server is a loop")
    func loop() {
        let here = TunnelTarget(scheme: .tcp, host: "localhost", port: 7000)
        #expect(TargetRules.loop(here, server: HostPort(host: "127.0.0.1", port: 7000))?.code == .targetLoop)
        #expect(TargetRules.loop(here, server: HostPort(host: "127.0.0.1", port: 7001)) == nil)
        #expect(TargetRules.loop(here, server: HostPort(host: "example.com", port: 7000)) == nil)
        let there = TunnelTarget(scheme: .tcp, host: "example.com", port: 7000)
        #expect(TargetRules.loop(there, server: HostPort(host: "Example.com", port: 7000))?.code == .targetLoop)
    }
}
