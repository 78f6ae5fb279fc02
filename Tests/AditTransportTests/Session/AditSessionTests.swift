// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import NIOCore
import Testing

@Suite("Sessions of Adit over sockets")
struct AditSessionTests {
    private let key: DeviceKey
    private let otherKey: DeviceKey

    init() throws {
        key = try DeviceKey(seed: [UInt8](repeating: 1, count: 32))
        otherKey = try DeviceKey(seed: [UInt8](repeating: 2, count: 32))
    }

    private func policy() -> TestPolicy {
        TestPolicy(deviceKeys: [key.publicKey, otherKey.publicKey])
    }

    @Test(
        "A device proves its key and serves visitors on streams that the server opens",
        arguments: [true, false],
        FRPWireVersion.allCases
    )
    func deviceKey(_ byPrefix: Bool, _ version: FRPWireVersion) async throws {
        let house = try await SessionHouse.open(policy: policy())
        let trust: ServerTrust =
            byPrefix ? .pinnedPrefix(house.tls.fingerprint.prefix80) : .pinned(house.tls.fingerprint)
        let device = TestDevice(house.configuration(.device(key, invite: [1, 2]), trust: trust, over: version))
        device.session.register(FRPNewProxy(proxyName: "web", proxyType: "http", useCompression: true))
        device.session.register(FRPNewProxy(proxyName: "raw", proxyType: "tcp", useEncryption: true))
        device.session.start()
        try await device.waitForTunnel("web")
        try await device.waitForTunnel("raw")
        let connection = try #require(device.connections.first)
        #expect(connection.fingerprint == house.tls.fingerprint)
        #expect(connection.adit?.serverName == "test")
        #expect(connection.adit?.deviceName == "laptop")
        let session = try #require(house.policy.snapshot.sessions.first)
        #expect(session.isAdit)
        #expect(session.identity == .device(key.publicKey, name: "laptop"))
        #expect(house.policy.snapshot.requests.first?.device?.invite == [1, 2])
        let bytes = [UInt8](repeating: 0x5A, count: 300_000)
        for tunnel in ["web", "raw"] {
            let echoed = try await session.exchange(bytes, with: tunnel)
            #expect(echoed == bytes)
        }
        await #expect(throws: AditError.self) {
            try await session.openWorkConnection(proxyName: "nope", visitor: nil, local: nil).get()
        }
        // Messages of the server's own.
        session.send(.requestReport(AditRequestReport(proxyName: "web", method: "GET", path: "/", status: 200)))
        session.endTunnel(named: "web", because: AditError(.takenOver, "taken"))
        try await device.wait { $0.contains(.tunnelClosed(name: "web", AditError(.takenOver, "taken"))) }
        #expect(device.delegate.events.contains { if case .requestReport = $0 { true } else { false } })
        device.session.unregister(name: "raw")
        try await house.policy.wait(on: house.loop) { $0.closed == ["raw"] }.orFail(after: .seconds(30)).get()
        try await device.session.stop().get()
        try await house.close()
    }

    @Test(
        "Datagrams of every size cross a session whole, each with its visitor",
        arguments: [true, false],
        FRPWireVersion.allCases
    )
    func datagrams(_ isCompressed: Bool, _ version: FRPWireVersion) async throws {
        let house = try await SessionHouse.open(policy: policy())
        let device = TestDevice(house.configuration(.device(key, invite: nil), over: version))
        device.session.register(FRPNewProxy(proxyName: "udp", proxyType: "udp", useCompression: isCompressed))
        device.session.start()
        try await device.waitForTunnel("udp")
        let session = try #require(house.policy.snapshot.sessions.first)
        let visitors = [IPEndpoint(.v4(0xC633_6407), 4711), IPEndpoint(.v6(high: 0x2001_0DB8 << 32, low: 7), 53)]
        let datagrams = [0, 1, 1472, 1501, 8_000, 65_507].flatMap { size in
            visitors.map { SeenDatagram(visitor: $0, payload: [UInt8](repeating: UInt8(size & 255), count: size)) }
        }
        let channel = try await session.openWorkConnection(proxyName: "udp", visitor: nil, local: nil)
            .orFail(after: .seconds(30)).get()
        let promise = channel.eventLoop.makePromise(of: [SeenDatagram].self)
        try await channel.eventLoop.submit {
            let recorder = DatagramRecorder()
            recorder.onRound = { if $0.count == datagrams.count { promise.succeed($0) } }
            let link = DatagramLink(channel, framing: .adit, on: channel.eventLoop, delegate: recorder)
            link.start()
            for datagram in datagrams {
                #expect(datagram.payload.withUnsafeBytes { link.write($0, visitor: datagram.visitor) })
            }
            link.flush()
        }
        .get()
        #expect(try await promise.futureResult.orFail(after: .seconds(30)).get() == datagrams)
        try? await channel.close().get()
        try await device.session.stop().get()
        try await house.close()
    }

    @Test("A shared token works for a device that was not invited, a wrong one does not")
    func token() async throws {
        let house = try await SessionHouse.open()
        let right = TestDevice(house.configuration(.token("secret", key)))
        right.session.start()
        try await right.waitForConnection()
        let wrong = TestDevice(house.configuration(.token("guess", key)))
        wrong.session.start()
        #expect(try await wrong.refusal()?.code == .tokenRefused)
        try await right.session.stop().get()
        try await wrong.session.stop().get()
        try await house.close()
    }

    @Test("A server with another key is refused before anything is sent")
    func wrongFingerprint() async throws {
        let house = try await SessionHouse.open(policy: policy())
        let trusts: [ServerTrust] = [.pinned(KeyFingerprint(of: [1])), .pinnedPrefix([UInt8](repeating: 0, count: 10))]
        for trust in trusts {
            let device = TestDevice(house.configuration(.device(key, invite: nil), trust: trust))
            device.session.start()
            let error = try #require(try await device.refusal())
            #expect(error.code == .serverKeyChanged)
            #expect(error.why.first?.english == "the server shows \(house.tls.fingerprint)")
            try await device.session.stop().get()
        }
        // A certificate that no authority vouches for.
        let device = TestDevice(
            house.configuration(.device(key, invite: nil), trust: .publicAuthorities(name: "localhost"))
        )
        device.session.start()
        #expect(try await device.disconnection()?.code == .serverKeyChanged)
        try await device.session.stop().get()
        #expect(house.policy.snapshot.requests.isEmpty)
        try await house.close()
    }

    @Test(
        "A device never logs in where it cannot verify the server",
        arguments: [ServerTrust.plain, .unverified(name: "")]
    )
    func unverified(_ trust: ServerTrust) async throws {
        let house = try await SessionHouse.open(policy: policy())
        let device = TestDevice(house.configuration(.device(key, invite: nil), trust: trust))
        device.session.start()
        #expect(try await device.refusal()?.code == .serverKeyChanged)
        #expect(house.policy.snapshot.requests.isEmpty)
        try await house.close()
    }

    @Test("An unknown device is refused and stops trying")
    func unknownKey() async throws {
        let house = try await SessionHouse.open(policy: TestPolicy(deviceKeys: [otherKey.publicKey]))
        let device = TestDevice(house.configuration(.device(key, invite: nil)))
        device.session.start()
        #expect(try await device.refusal()?.code == .tokenRefused)
        #expect(device.delegate.events.filter { if case .connecting = $0 { true } else { false } }.count == 1)
        try await house.close()
    }

    @Test(
        "When the server is started again the device comes back with its run id and its tunnels",
        arguments: FRPWireVersion.allCases
    )
    func restart(_ version: FRPWireVersion) async throws {
        let house = try await SessionHouse.open(policy: policy())
        let device = TestDevice(house.configuration(.device(key, invite: [7]), over: version))
        device.session.register(FRPNewProxy(proxyName: "web", proxyType: "http"))
        device.session.start()
        try await device.waitForTunnel("web")
        let port = house.port
        try await house.close()
        try await device.wait { $0.contains { if case .disconnected = $0 { true } else { false } } }
        let second = try await SessionHouse.open(policy: policy(), tls: house.tls, port: port)
        device.session.reconnectNow()
        try await device.waitForTunnel("web", times: 2)
        #expect(Set(device.connections.map(\.runID)).count == 1)
        // The invite was good for one login.
        #expect(second.policy.snapshot.requests.first?.device?.invite == [])
        let session = try #require(second.policy.snapshot.sessions.first)
        let echoed = try await session.exchange([1, 2, 3], with: "web")
        #expect(echoed == [1, 2, 3])
        try await device.session.stop().get()
        try await second.close()
    }

    @Test("A run id of one device is not given to another")
    func foreignRunID() async throws {
        let house = try await SessionHouse.open(policy: policy())
        let first = TestDevice(house.configuration(.device(key, invite: nil)))
        first.session.start()
        try await first.waitForConnection()
        let runID = try #require(first.connections.first?.runID)
        var configuration = house.configuration(.device(otherKey, invite: nil))
        configuration.runID = runID
        let thief = TestDevice(configuration)
        thief.session.start()
        #expect(try await thief.disconnection()?.code == .notAllowed)
        // It comes back as itself, and the owner was not disturbed.
        try await thief.waitForConnection()
        #expect(thief.connections.first?.runID != runID)
        #expect(house.policy.snapshot.ended.isEmpty)
        #expect(house.acceptor.sessionCount == 2)
        try await first.session.stop().get()
        try await thief.session.stop().get()
        try await house.close()
    }

    @Test("A session that the server ends comes back, and a draining server is given its time")
    func drain() async throws {
        let house = try await SessionHouse.open(policy: policy())
        let device = TestDevice(house.configuration(.device(key, invite: nil)))
        device.session.start()
        try await device.waitForConnection()
        let session = try #require(house.policy.snapshot.sessions.first)
        session.send(.draining(AditDraining(reconnectAfterMs: 200)))
        session.close(.draining)
        try await device.waitForConnection(times: 2)
        #expect(device.delegate.events.contains(.draining(.milliseconds(200))))
        #expect(house.policy.snapshot.ended == [.draining])
        try await device.session.stop().get()
        try await house.close()
    }

    @Test("A server that falls silent is noticed by the multiplexer's pings")
    func silence() async throws {
        let house = try await SessionHouse.open(policy: policy())
        var configuration = house.configuration(.device(key, invite: nil))
        configuration.muxPingInterval = .milliseconds(300)
        configuration.muxPingTimeout = .seconds(2)
        let device = TestDevice(configuration)
        device.session.start()
        try await device.waitForConnection()
        try await device.wait { $0.contains { if case .roundTrip = $0 { true } else { false } } }
        // Stop reading at the server: the connection is open, but nobody answers.
        let channel = try #require(house.connections.first)
        try await channel.setOption(.autoRead, value: false).get()
        try await device.wait { $0.contains { if case .disconnected = $0 { true } else { false } } }
        try await device.session.stop().get()
        try await house.close()
    }

    @Test("A name that resolves to nothing is told as such, and tried again")
    func noName() async throws {
        var configuration = DeviceSessionConfiguration(
            server: HostPort(host: "no-such-name.invalid", port: 7000),
            credentials: .device(key, invite: nil),
            serverTrust: .pinned(KeyFingerprint(of: [1]))
        )
        configuration.connectTimeout = .seconds(5)
        let device = TestDevice(configuration)
        device.session.start()
        let error = try await device.disconnection()
        #expect(error?.code == .nameDoesNotResolve || error?.code == .serverUnreachable)
        try await device.session.stop().get()
    }
}
