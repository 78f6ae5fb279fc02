// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import NIOCore
import NIOPosix
import Testing

@Suite("Sessions of plain frp over sockets")
struct FRPSessionTests {
    struct Wire: Sendable, CustomStringConvertible {
        var version: FRPWireVersion
        var isTLS: Bool
        var isMultiplexed: Bool
        var isMarked = false

        var description: String {
            "\(version) \(isTLS ? "tls" : "plain")\(isMarked ? " 0x17" : "") \(isMultiplexed ? "mux" : "no mux")"
        }

        static let all: [Wire] =
            [FRPWireVersion.v1, .v2].flatMap { version in
                [true, false].flatMap { isTLS in
                    [true, false].map { Wire(version: version, isTLS: isTLS, isMultiplexed: $0) }
                }
            } + [
                Wire(version: .v1, isTLS: true, isMultiplexed: true, isMarked: true),
                Wire(version: .v2, isTLS: true, isMultiplexed: false, isMarked: true),
            ]
    }

    private static func device(_ house: SessionHouse, _ wire: Wire, token: String = "secret") -> TestDevice {
        var configuration = house.configuration(
            .frpToken(token),
            trust: wire.isTLS ? .unverified(name: "") : .plain
        )
        configuration.wireVersion = wire.version
        configuration.isMultiplexed = wire.isMultiplexed
        configuration.sendsTLSMarker = wire.isMarked
        if !wire.isMultiplexed {
            configuration.heartbeatInterval = .seconds(30)
            configuration.heartbeatTimeout = .seconds(90)
        }
        return TestDevice(configuration)
    }

    @Test("Every combination of framing, TLS and multiplexing carries bytes, with every transform", arguments: Wire.all)
    func combinations(_ wire: Wire) async throws {
        let house = try await SessionHouse.open()
        let device = Self.device(house, wire)
        let flags = [(false, false), (true, false), (false, true), (true, true)]
        for (encrypts, compresses) in flags {
            device.session.register(
                FRPNewProxy(
                    proxyName: "p-\(encrypts)-\(compresses)",
                    proxyType: "tcp",
                    useEncryption: encrypts,
                    useCompression: compresses
                )
            )
        }
        device.session.start()
        for (encrypts, compresses) in flags { try await device.waitForTunnel("p-\(encrypts)-\(compresses)") }
        let session = try #require(house.policy.snapshot.sessions.first)
        #expect(session.wireVersion == wire.version)
        #expect(session.isTLS == wire.isTLS)
        #expect(session.isAdit == false)
        #expect(session.runID.utf8.count == 16)
        var generator = SeededGenerator(seed: 1)
        let bytes = (0..<100_000).map { _ in UInt8(truncatingIfNeeded: generator.next() & 0x3F) }
        for (encrypts, compresses) in flags {
            let echoed = try await session.exchange(bytes, with: "p-\(encrypts)-\(compresses)")
            #expect(echoed == bytes, "encryption \(encrypts), compression \(compresses)")
        }
        let start = try #require(device.delegate.starts.first)
        #expect(start.sourceAddress == "198.51.100.7")
        #expect(start.sourcePort == 4711)
        #expect(start.destinationAddress == "203.0.113.1")
        #expect(start.destinationPort == 80)
        try await device.session.stop().get()
        _ = try await session.closed.orFail(after: .seconds(30)).get()
        #expect(house.policy.snapshot.ended.count == 1)
        #expect(house.acceptor.sessionCount == 0)
        try await house.close()
    }

    @Test("Many visitors at once are all served", arguments: [true, false])
    func manyVisitors(_ isMultiplexed: Bool) async throws {
        let house = try await SessionHouse.open()
        let device = Self.device(house, Wire(version: .v1, isTLS: false, isMultiplexed: isMultiplexed))
        device.session.register(FRPNewProxy(proxyName: "p", proxyType: "tcp"))
        device.session.start()
        try await device.waitForTunnel("p")
        let session = try #require(house.policy.snapshot.sessions.first)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let bytes = [UInt8](repeating: UInt8(number), count: 1000 + number)
                    return try await session.exchange(bytes, with: "p") == bytes
                }
            }
            for try await isEqual in group { #expect(isEqual) }
        }
        try await device.session.stop().get()
        try await house.close()
    }

    @Test("A wrong token is refused with frps's words, and the client goes on trying")
    func wrongToken() async throws {
        let house = try await SessionHouse.open()
        for version in [FRPWireVersion.v1, .v2] {
            let device = Self.device(house, Wire(version: version, isTLS: true, isMultiplexed: true), token: "wrong")
            device.session.start()
            let error = try await device.disconnection()
            #expect(error?.code == .tokenRefused)
            #expect(error?.why.first?.english == "token in login doesn't match token from configuration")
            try await device.session.stop().get()
        }
        #expect(house.policy.snapshot.sessions.isEmpty)
        try await house.close()
    }

    @Test("A client that comes back with its run id takes its own session over, another user does not")
    func takeover() async throws {
        let house = try await SessionHouse.open()
        let wire = Wire(version: .v1, isTLS: false, isMultiplexed: true)
        let first = Self.device(house, wire)
        first.session.start()
        try await first.waitForConnection()
        let runID = try #require(first.connections.first?.runID)

        var foreign = house.configuration(.frpToken("secret"), trust: .plain)
        foreign.user = "mallory"
        foreign.runID = runID
        foreign.wireVersion = .v1
        let stranger = TestDevice(foreign)
        stranger.session.start()
        #expect(try await stranger.disconnection()?.code == .tokenRefused)
        #expect(house.acceptor.sessions.contains { $0.runID == runID && $0.identity.name.isEmpty })
        try await stranger.session.stop().get()

        var same = house.configuration(.frpToken("secret"), trust: .plain)
        same.runID = runID
        same.wireVersion = .v1
        let second = TestDevice(same)
        second.session.start()
        try await second.waitForConnection()
        #expect(second.connections.first?.runID == runID)
        #expect(house.policy.snapshot.ended.contains(.takenOver))
        #expect(house.acceptor.sessions.filter { $0.runID == runID }.count == 1)
        try await first.session.stop().get()
        try await second.session.stop().get()
        try await house.close()
    }

    @Test("A second client with the same user and client id is refused while the first is online")
    func duplicateClient() async throws {
        let house = try await SessionHouse.open()
        var configuration = house.configuration(.frpToken("secret"), trust: .plain)
        configuration.clientID = "pc"
        let first = TestDevice(configuration)
        first.session.start()
        try await first.waitForConnection()
        let second = TestDevice(configuration)
        second.session.start()
        #expect(try await second.disconnection()?.why.first?.english == "A client with this id is online already")
        try await first.session.stop().get()
        // Now that the first is gone, the second comes in by itself.
        try await second.waitForConnection()
        try await second.session.stop().get()
        try await house.close()
    }

    @Test("A server that wants TLS turns plain connections away")
    func forcedTLS() async throws {
        let house = try await SessionHouse.open { $0.requiresTLS = true }
        let plain = Self.device(house, Wire(version: .v1, isTLS: false, isMultiplexed: false))
        plain.session.start()
        _ = try await plain.disconnection()
        let secure = Self.device(house, Wire(version: .v1, isTLS: true, isMultiplexed: false))
        secure.session.start()
        try await secure.waitForConnection()
        #expect(house.acceptor.sessionCount == 1)
        try await plain.session.stop().get()
        try await secure.session.stop().get()
        try await house.close()
    }

    @Test("Nothing of a session is kept when it has ended")
    func noLeak() async throws {
        let house = try await SessionHouse.open()
        weak var kept: ServerSession?
        weak var keptDevice: DeviceSession?
        for isMultiplexed in [true, false] {
            do {
                let device = Self.device(house, Wire(version: .v2, isTLS: false, isMultiplexed: isMultiplexed))
                device.session.register(FRPNewProxy(proxyName: "p", proxyType: "tcp"))
                device.session.start()
                try await device.waitForTunnel("p")
                let session = try #require(house.policy.snapshot.sessions.first)
                kept = session
                keptDevice = device.session
                _ = try await session.exchange([1], with: "p")
                try await device.session.stop().get()
                _ = try await session.closed.orFail(after: .seconds(30)).get()
            }
            for channel in house.connections { try await channel.closeFuture.get() }
            // Whatever was on its way on the loops has passed.
            for loop in SessionHouse.group.makeIterator() { try await loop.submit {}.get() }
            #expect(kept == nil)
            #expect(keptDevice == nil)
        }
        try await house.close()
    }
}
