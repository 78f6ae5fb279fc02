// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditServer
import AditTransport
import AditTraversal
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// Two devices of one server, in two processes' worth of one machine.
@Suite("Paths between devices")
struct PathTests {
    /// Loopback is never aimed at, so that a machine without any other address has no path to itself.
    private static var hasAddress: Bool { LocalNetwork.current().address != nil }

    /// Who is on which wire; the two ends need not agree.
    private static let wires: [[FRPWireVersion]] = [[.v2, .v2], [.v1, .v2], [.v2, .v1], [.v1, .v1]]

    @Test(
        "A device is found by its name whatever wire each of the two is on, and packets go both ways",
        .enabled(if: hasAddress),
        arguments: wires
    )
    func aPathCarriesPackets(wires: [FRPWireVersion]) async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, over: wires[0])
        let ben = try PathDevice("ben", at: house, over: wires[1])
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        let there = try await amy.path(to: "ben")
        let back = try await ben.path(to: "amy")
        #expect(there.kind.isDirect && back.kind.isDirect)
        #expect(try await amy.carry([1, 2, 3], to: ben) == [1, 2, 3])
        // The server says from where the other's session comes, where there is something to find.
        #expect(ben.addresses.withLockedValue { $0.contains("127.0.0.1") })
        #expect(try await ben.carry([4], to: amy) == [4])
        let id = try #require(amy.contact.withLockedValue { $0["ben"] })
        amy.paths?.measure(id)
        let trip = try await amy.wait {
            if case .roundTrip(let peer, let time, _) = $0, peer.id == id { time } else { nil }
        }
        #expect(trip > .zero)
        try await amy.stop()
        _ = try await ben.wait { if case .ended(let peer, _) = $0, peer.name == "amy" { true } else { nil } }
        try await ben.stop()
        try await house.close()
    }

    @Test(
        "A path comes to be although a session is lost in the middle",
        .enabled(if: hasAddress),
        arguments: [true, false],
        wires
    )
    func aSessionIsLostInTheMiddle(sameRun: Bool, wires: [FRPWireVersion]) async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, over: wires[0])
        let ben = try PathDevice("ben", at: house, over: wires[1])
        try await amy.connect()
        try await ben.connect()
        // amy's words come while ben is away, and once more when it is back.
        try await ben.disconnect()
        amy.paths?.connect("ben")
        _ = try await amy.wait { if case .problem("ben", let error) = $0 { error.code } else { nil } }
        try await ben.connect(sameRun: sameRun)
        amy.paths?.connect("ben")
        #expect(try await amy.path(to: "ben").kind.isDirect)
        #expect(try await ben.path(to: "amy").kind.isDirect)
        // Packets need no session.
        try await amy.disconnect()
        try await ben.disconnect()
        #expect(try await amy.carry([9], to: ben) == [9])
        try await amy.stop()
        try await ben.stop()
        try await house.close()
    }

    @Test(
        "A device that its owner removed loses its direct paths, also to a device that hears of it later",
        .enabled(if: hasAddress),
        arguments: [false, true]
    )
    func removal(isAway: Bool) async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house)
        let ben = try PathDevice("ben", at: house)
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        _ = try await amy.path(to: "ben")
        _ = try await ben.path(to: "amy")
        #expect(try await ben.carry([1], to: amy) == [1])
        if isAway { try await amy.disconnect() }
        #expect(try house.store.removeDevice(named: "ben", at: UnixClock.system.now()) != nil)
        try await house.server.recheck()
        if isAway { try await amy.connect() }
        let why = try await amy.wait { if case .problem("ben", let error) = $0 { error.code } else { nil } }
        #expect(why == .deviceUnknown)
        _ = try await amy.wait { if case .ended(let peer, _) = $0, peer.name == "ben" { true } else { nil } }
        // Another one of the same owner is none of its business.
        let cat = try PathDevice("cat", at: house)
        try await cat.connect()
        cat.paths?.connect("amy")
        #expect(try await cat.path(to: "amy").kind.isDirect)
        for device in [amy, ben, cat] { try await device.stop() }
        try await house.close()
    }

    @Test("Who is not there is said at once, and why")
    func absence() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house)
        let deaf = try PathDevice("deaf", at: house, takesSignals: false)
        let gone = try PathDevice("gone", at: house)
        try await amy.connect()
        try await deaf.connect()
        try await gone.connect()
        try await gone.disconnect()
        for (name, code) in [
            ("deaf", ErrorCode.pathsOff), ("gone", .deviceOffline), ("nobody", .deviceUnknown), ("amy", .deviceUnknown),
        ] {
            amy.paths?.connect(name)
            let found = try await amy.wait { if case .problem(name, let error) = $0 { error.code } else { nil } }
            #expect(found == code, "\(name)")
        }
        // A device that takes no signals cannot send any.
        deaf.paths?.connect("amy")
        let own = try await deaf.wait { if case .problem("amy", let error) = $0 { error.code } else { nil } }
        #expect(own == .pathsOff)
        for device in [amy, deaf, gone] { try await device.stop() }
        try await house.close()
    }

    @Test("A flood of signals is cut off, and harms nobody", .enabled(if: hasAddress))
    func flood() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house)
        let ben = try PathDevice("ben", at: house)
        let eve = try PathDevice("eve", at: house)
        for device in [amy, ben, eve] { try await device.connect() }
        let junk = AditPeerSignal(
            peer: "ben",
            address: "198.51.100.7",
            body: [UInt8](repeating: 7, count: 2000),
            signature: [UInt8](repeating: 1, count: 64)
        )
        for _ in 0..<5000 { eve.signal(junk) }
        amy.paths?.connect("ben")
        #expect(try await amy.path(to: "ben").kind.isDirect)
        // The rest of the flood may still be on its way.
        var figures = try #require(try await house.signals())
        for _ in 0..<400_000 where figures.limited <= 500 {
            figures = try #require(try await house.signals())
        }
        #expect(figures.limited > 500)
        // Where somebody is, only the server says.
        #expect(ben.addresses.withLockedValue { !$0.contains("198.51.100.7") })
        #expect(figures.forwarded < 1000)
        for device in [amy, ben, eve] { try await device.stop() }
        try await house.close()
    }
}
