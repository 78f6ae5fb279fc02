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

@Suite("Strangers at the session port")
struct HostileConnectionTests {
    /// Connects, sends bytes, and waits until the server has closed.
    private static func send(_ bytes: [UInt8], to house: SessionHouse, closes: Bool = false) async throws -> [UInt8] {
        let promise = house.loop.makePromise(of: [UInt8].self)
        let channel = try await ClientBootstrap(group: SessionHouse.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DrainHandler(promise: promise))
                }
            }
            .connect(host: "127.0.0.1", port: Int(house.port)).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        if closes { try? await channel.close().get() }
        return try await promise.futureResult.orFail(after: .seconds(30)).get()
    }

    private static func frame(_ message: FRPMessage, _ version: FRPWireVersion) throws -> [UInt8] {
        var bytes: [UInt8] = version == .v2 ? FRPWireMagic.bytes : []
        try FRPFrame.message(message).encode(version: version, into: &bytes)
        return bytes
    }

    private static func waitForNoStrangers(_ house: SessionHouse) async throws {
        for channel in house.connections {
            try await channel.closeFuture.orFail(after: .seconds(30)).get()
        }
        #expect(house.acceptor.strangerCount == 0)
        #expect(house.acceptor.sessionCount == 0)
    }

    @Test("Random beginnings are closed and nothing stays behind")
    func randomBytes() async throws {
        let house = try await SessionHouse.open {
            $0.sniffTimeout = .milliseconds(300)
            $0.control.loginTimeout = .milliseconds(300)
        }
        var generator = SeededGenerator(seed: 99)
        let starts: [UInt8] = [0x16, 0x17, 0x00, 0x46, 0x6F, 0x77, 0x76, 0x47]
        for batch in 0..<10 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for round in batch * 30..<batch * 30 + 30 {
                    let count = Int(generator.next() % 40 + 1)
                    var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                    if round.isMultiple(of: 2) { bytes[0] = starts[round / 2 % starts.count] }
                    group.addTask { [bytes] in
                        _ = try await Self.send(bytes, to: house, closes: round.isMultiple(of: 3))
                    }
                }
                try await group.waitForAll()
            }
        }
        try await Self.waitForNoStrangers(house)
        #expect(house.policy.snapshot.requests.isEmpty)
        try await house.close()
    }

    @Test(
        "Messages that do not belong first, and lengths over the limit, end the connection",
        arguments: [FRPWireVersion.v1, .v2]
    )
    func malformed(_ version: FRPWireVersion) async throws {
        let house = try await SessionHouse.open()
        var messages = [
            try Self.frame(.newWorkConnection(FRPNewWorkConnection(runID: "0123456789abcdef")), version),
            try Self.frame(.login(FRPLogin(runID: "../../etc")), version),
        ]
        switch version {
        case .v1:
            messages.append([0x6F, 0, 0, 0, 0, 0, 0, 0x28, 0x01])
            messages.append([0x6F, 0, 0, 0, 0, 0, 0, 0, 2] + Array("{]".utf8))
        case .v2:
            messages.append(FRPWireMagic.bytes + [0, 16, 0, 0, 0, 1, 0, 1])
            messages.append(FRPWireMagic.bytes + [0, 16, 0, 1, 0, 0, 0, 4])
            messages.append(FRPWireMagic.bytes + [0, 9, 0, 0, 0, 0, 0, 4])
            messages.append(try Self.frame(.ping(FRPPing()), .v2))
        }
        for bytes in messages { _ = try await Self.send(bytes, to: house) }
        try await Self.waitForNoStrangers(house)
        #expect(house.policy.snapshot.requests.isEmpty)
        try await house.close()
    }

    @Test("A private service's visitor is told that there is none", arguments: [FRPWireVersion.v1, .v2])
    func visitor(_ version: FRPWireVersion) async throws {
        let house = try await SessionHouse.open()
        let request = FRPNewVisitorConnection(runID: "x", proxyName: "secret-ssh")
        let answer = try await Self.send(try Self.frame(.newVisitorConnection(request), version), to: house)
        let decoded = try #require(try FRPFrame.decode(answer.span.bytes, version: version))
        guard case .message(.newVisitorConnectionResponse(let response)) = decoded.frame else {
            Issue.record("not the answer")
            return
        }
        #expect(response.proxyName == "secret-ssh")
        #expect(response.error.contains("not offered"))
        try await house.close()
    }

    @Test("A connection that says nothing, or too little, is closed")
    func silence() async throws {
        let house = try await SessionHouse.open {
            $0.sniffTimeout = .milliseconds(100)
            $0.control.loginTimeout = .milliseconds(200)
        }
        for bytes: [UInt8] in [
            [], [0x16], Array("FRP".utf8), FRPWireMagic.bytes, [0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        ] {
            _ = try await Self.send(bytes, to: house)
        }
        try await Self.waitForNoStrangers(house)
        try await house.close()
    }

    @Test("One address may have a bounded number of connections without a login")
    func strangers() async throws {
        let house = try await SessionHouse.open { $0.maximumStrangersPerAddress = 3 }
        var channels: [any Channel] = []
        for _ in 0..<3 {
            channels.append(
                try await ClientBootstrap(group: SessionHouse.group).connect(host: "127.0.0.1", port: Int(house.port))
                    .get()
            )
        }
        // The fourth is closed without a word.
        #expect(try await Self.send([], to: house).isEmpty)
        for channel in channels { try? await channel.close().get() }
        try await Self.waitForNoStrangers(house)
        let device = TestDevice(house.configuration(.frpToken("secret"), trust: .plain))
        device.session.start()
        try await device.waitForConnection()
        try await device.session.stop().get()
        try await house.close()
    }

    @Test("After ten failed logins an address has to wait, even with the right token")
    func failedLogins() async throws {
        let house = try await SessionHouse.open { $0.failedLoginRecovery = .seconds(600) }
        let wrong = FRPLogin(privilegeKey: "0", timestamp: 1)
        for _ in 0..<10 { _ = try await Self.send(try Self.frame(.login(wrong), .v1), to: house) }
        let right = FRPLogin(privilegeKey: FRPTokenKey(token: "secret").privilegeKey(timestamp: 1), timestamp: 1)
        let answer = try await Self.send(try Self.frame(.login(right), .v1), to: house)
        let decoded = try #require(try FRPFrame.decode(answer.span.bytes, version: .v1))
        guard case .message(.loginResponse(let response)) = decoded.frame else {
            Issue.record("no answer")
            return
        }
        #expect(response.error == "Too many failed logins from this address")
        #expect(house.policy.snapshot.requests.count == 10)
        try await house.close()
    }

    @Test("A device that proves its key is let in, however often its neighbours failed")
    func neighboursOfGuesses() async throws {
        let key = try DeviceKey(seed: [UInt8](repeating: 5, count: 32))
        let policy = TestPolicy(deviceKeys: [key.publicKey])
        let house = try await SessionHouse.open(policy: policy) { $0.failedLoginRecovery = .seconds(600) }
        let wrong = FRPLogin(privilegeKey: "0", timestamp: 1)
        for _ in 0..<12 { _ = try await Self.send(try Self.frame(.login(wrong), .v1), to: house) }
        #expect(policy.snapshot.requests.count == 10)
        let device = TestDevice(house.configuration(.device(key, invite: nil)))
        device.session.start()
        try await device.waitForConnection()
        // A secret from the same address is still not looked at.
        let guess = TestDevice(
            house.configuration(.token("secret", try DeviceKey(seed: [UInt8](repeating: 6, count: 32))))
        )
        guess.session.start()
        #expect(try await guess.disconnection()?.what.english == "Too many failed logins from this address")
        try await guess.session.stop().get()
        try await device.session.stop().get()
        try await house.close()
    }

    @Test("A member whose streams come to nothing is cut off", arguments: [false, true])
    func wastedStreams(resetsThem: Bool) async throws {
        let house = try await SessionHouse.open { $0.muxPingInterval = nil }
        let key = FRPTokenKey(token: "secret").privilegeKey(timestamp: 1)
        let login = try Self.frame(.login(FRPLogin(privilegeKey: key, timestamp: 1)), .v1)
        var bytes: [UInt8] = []
        YamuxHeader(.windowUpdate, .open, streamID: 1, length: 0).encode(into: &bytes)
        YamuxHeader(.data, [], streamID: 1, length: UInt32(login.count)).encode(into: &bytes)
        bytes += login
        let promise = house.loop.makePromise(of: [UInt8].self)
        let channel = try await ClientBootstrap(group: SessionHouse.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DrainHandler(promise: promise))
                }
            }
            .connect(host: "127.0.0.1", port: Int(house.port)).get()
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        try await house.policy.wait(on: house.loop) { !$0.sessions.isEmpty }.orFail(after: .seconds(30)).get()
        bytes = []
        for id in stride(from: UInt32(3), to: 10_003, by: 2) {
            YamuxHeader(.windowUpdate, .open, streamID: id, length: 0).encode(into: &bytes)
            if resetsThem { YamuxHeader(.windowUpdate, .reset, streamID: id, length: 0).encode(into: &bytes) }
        }
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        _ = try await promise.futureResult.orFail(after: .seconds(30)).get()
        try await Self.waitForNoStrangers(house)
        try await house.close()
    }

    @Test("One connection is one try, however many streams it has")
    func oneLoginEach() async throws {
        let house = try await SessionHouse.open()
        var bytes: [UInt8] = []
        for id: UInt32 in [1, 3, 5, 7] {
            let login = try Self.frame(.login(FRPLogin(privilegeKey: "0", timestamp: 1)), .v1)
            YamuxHeader(.windowUpdate, .open, streamID: id, length: 0).encode(into: &bytes)
            YamuxHeader(.data, [], streamID: id, length: UInt32(login.count)).encode(into: &bytes)
            bytes += login
        }
        _ = try await Self.send(bytes, to: house)
        try await Self.waitForNoStrangers(house)
        #expect(house.policy.snapshot.requests.count == 1)
        try await house.close()
    }

    @Test("A full server says so and goes on serving who is in")
    func full() async throws {
        let house = try await SessionHouse.open { $0.maximumSessions = 1 }
        let first = TestDevice(house.configuration(.frpToken("secret"), trust: .plain))
        first.session.register(FRPNewProxy(proxyName: "p", proxyType: "tcp"))
        first.session.start()
        try await first.waitForTunnel("p")
        let second = TestDevice(house.configuration(.frpToken("secret"), trust: .plain))
        second.session.start()
        #expect(try await second.disconnection()?.why.first?.english == "The server takes no more sessions")
        let session = try #require(house.policy.snapshot.sessions.first)
        let echoed = try await session.exchange([1], with: "p")
        #expect(echoed == [1])
        try await first.session.stop().get()
        try await second.session.stop().get()
        try await house.close()
    }
}

/// Collects everything until the connection is closed.
private final class DrainHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<[UInt8]>
    private var bytes: [UInt8] = []

    init(promise: EventLoopPromise<[UInt8]>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes.append(contentsOf: unwrapInboundIn(data).readableBytesView)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.succeed(bytes)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
