// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import AditTransport
import AditTunnel
import AditWire
import NIOCore
import Testing

@Suite("TURN of a server")
struct TURNServiceTests {
    private static func setup(
        _ change: @Sendable @escaping (inout TURNSetup) -> Void
    ) -> @Sendable (inout ServerSetup) -> Void {
        { setup in
            var stun = STUNSetup()
            stun.port = 0
            stun.alternatePort = 0
            stun.tlsPort = 0
            setup.stun = stun
            var turn = TURNSetup()
            change(&turn)
            setup.turn = turn
        }
    }

    @Test("A device is told at login where is relayed, and gets credentials of its own")
    func offer() async throws {
        let test = try await TestServer.start(Self.setup { _ in })
        let device = try await TestDevice(test, name: "laptop", invite: try test.invite())
        let connection = try await device.connected()
        let told = try #require(connection.adit?.turn)
        #expect(told.port == connection.adit?.stun?.port && told.tlsPort == connection.adit?.stun?.tlsPort)
        #expect(told.isOnSessionPort)
        #expect(told.username == "\(told.expiresAt):laptop")
        #expect(told.password.count == 28 && !told.nonce.isEmpty && !told.realm.isEmpty)
        #expect(told.expiresAt % 3600 == 0)
        #expect(test.server.turnStatus?.port == told.port)
        try await device.stop()
        try await test.stop()
    }

    @Test("New credentials come before the old ones end")
    func renewal() async throws {
        let test = try await TestServer.start(Self.setup { $0.credentialLifetime = .seconds(3) })
        let device = try await TestDevice(test, name: "laptop", invite: try test.invite())
        let first = try #require(try await device.connected().adit?.turn)
        let second = try await device.wait { if case .turnOffered(let offer) = $0 { offer } else { nil } }
        // The server's calendar stands still here, and the nonce does not.
        #expect(second.expiresAt >= first.expiresAt)
        #expect(second.username == "\(second.expiresAt):laptop" && !second.nonce.isEmpty)
        try await device.stop()
        try await test.stop()
    }

    @Test("Without TURN nothing is told")
    func silence() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, name: "laptop", invite: try test.invite())
        #expect(try await device.connected().adit?.turn == nil)
        #expect(test.server.turnStatus == nil)
        try await device.stop()
        try await test.stop()
    }

    @Test("A file that says nothing relays, one without STUN does not")
    func file() {
        var file = ServerConfiguration()
        #expect(ServerSetup(file).turn == TURNSetup())
        file.stun.isOn = false
        #expect(ServerSetup(file).turn == nil)
        file.stun.isOn = true
        file.turn.isOn = false
        #expect(ServerSetup(file).turn == nil)
    }
}
