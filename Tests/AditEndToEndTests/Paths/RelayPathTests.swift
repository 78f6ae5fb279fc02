// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditServer
import AditTransport
import AditTraversal
import AditWire
import Testing

/// Devices that want no direct path, and the server's relay between them.
@Suite("Relayed paths between devices")
struct RelayPathTests {
    private static var relayed: PathOptions {
        var options = PathDevice.options
        options.policy = .relayOnly
        return options
    }

    /// As behind a firewall that lets nothing through but the session.
    @Sendable private static func onlyTheSession(_ connection: inout DeviceConnection) {
        connection.adit?.stun = nil
        connection.adit?.turn?.port = 0
        connection.adit?.turn?.tlsPort = 0
    }

    @Test(
        "Who reaches nothing but the session's port has a path through it, over either wire",
        arguments: FRPWireVersion.allCases
    )
    func throughTheSessionPort(version: FRPWireVersion) async throws {
        let house = try await PathHouse.open(relays: true)
        let amy = try PathDevice("amy", at: house, over: version, options: Self.relayed, narrow: Self.onlyTheSession)
        let ben = try PathDevice("ben", at: house, options: Self.relayed)
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        #expect(try await amy.path(to: "ben").kind == .relayed(.tls))
        #expect(try await !ben.path(to: "amy").kind.isDirect)
        #expect(try await amy.carry([1, 2, 3], to: ben) == [1, 2, 3])
        #expect(try await ben.carry([4], to: amy) == [4])
        try await amy.stop()
        try await ben.stop()
        try await house.close()
    }

    @Test("What a device relays ends at once when the owner removes it, and what others relay does not")
    func removal() async throws {
        let house = try await PathHouse.open(relays: true)
        let amy = try PathDevice("amy", at: house, options: Self.relayed)
        let ben = try PathDevice("ben", at: house, options: Self.relayed)
        // amy gives back what it relays for ben alone.
        let cat = try PathDevice("cat", at: house, options: Self.relayed)
        for device in [amy, ben, cat] { try await device.connect() }
        amy.paths?.connect("ben")
        amy.paths?.connect("cat")
        for name in ["ben", "cat"] { _ = try await amy.path(to: name) }
        for device in [ben, cat] { _ = try await device.path(to: "amy") }
        let before = try #require(house.server.turnStatus)
        #expect(Set(before.devices.filter { $0.allocations > 0 }.map(\.name)) == ["amy", "ben", "cat"])
        #expect(try house.store.removeDevice(named: "ben", at: UnixTime(seconds: 1_800_000_000)) != nil)
        try await house.server.recheck()
        let after = try #require(house.server.turnStatus)
        #expect(Set(after.devices.filter { $0.allocations > 0 }.map(\.name)) == ["amy", "cat"])
        for device in [amy, ben, cat] { try await device.stop() }
        try await house.close()
    }
}
