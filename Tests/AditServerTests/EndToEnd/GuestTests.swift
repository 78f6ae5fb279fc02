// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditWire
import NIOCore
import NIOPosix
import Testing

/// Clients of frp's files with private proxies, as the server sees them.
struct GuestTests {
    private static func guest(_ test: TestServer, user: String = "", token: String = "secret") async throws
        -> TestDevice
    {
        try await TestDevice(
            test,
            token: token,
            isGuest: true,
            change: { configuration in
                configuration.user = user
                configuration.takesSignals = true
            }
        )
    }

    private static func holder(_ name: String, asks device: TestDevice) async throws -> AditServiceHolder {
        device.session.ask(AditServiceQuery(name: name))
        return try await device.wait { event in
            if case .serviceHolder(let holder) = event, holder.name == name { holder } else { nil }
        }
    }

    @Test func aGuestIsKnownByItsKeyAndNotEnrolled() async throws {
        let test = try await TestServer.start { $0.token = "secret" }
        let guest = try await Self.guest(test, user: "mei")
        let fingerprint = guest.key.publicKey.fingerprint.description
        #expect(try await guest.connected().adit?.deviceName == "mei@\(fingerprint)")
        #expect(try await test.store.devices(on: test.group.next()).get().isEmpty)
        // It opens nothing to the public.
        await #expect(throws: AditError.self) {
            _ = try await guest.open(FRPNewProxy(proxyName: "mei.web", proxyType: "tcp"))
        }
        try await guest.stop()
        try await test.stop()
    }

    @Test(arguments: [
        ("wrong", true, ErrorCode.tokenRefused), ("", true, .tokenRefused), ("secret", false, .tokenRefused),
    ])
    func aGuestNeedsWhatAnFRPClientNeeds(token: String, allowsFRP: Bool, code: ErrorCode) async throws {
        let test = try await TestServer.start { setup in
            setup.token = "secret"
            setup.allowsFRP = allowsFRP
        }
        let guest = try await Self.guest(test, token: token)
        #expect(try await guest.turnedAway().code == code)
        try await guest.stop()
        try await test.stop()
    }

    @Test func anEmptyTokenLetsGuestsInAndEnrolsNobody() async throws {
        let test = try await TestServer.start { setup in
            setup.token = ""
            setup.allowsEmptyToken = true
        }
        let guest = try await Self.guest(test, token: "")
        _ = try await guest.connected()
        let device = try await TestDevice(test, token: "")
        #expect(try await device.refused().code == .tokenRefused)
        try await guest.stop()
        try await device.stop()
        try await test.stop()
    }

    @Test func aPrivateProxyIsFoundByItsNameAndTakenOnce() async throws {
        let test = try await TestServer.start { $0.token = "secret" }
        let owner = try await Self.guest(test, user: "mei")
        let other = try await Self.guest(test, user: "ben")
        let name = try #require(try await owner.connected().adit?.deviceName)
        _ = try await other.connected()
        #expect(
            try await Self.holder("mei.none", asks: other) == AditServiceHolder(name: "mei.none", reason: "no-service")
        )
        #expect(try await owner.open(FRPNewProxy(proxyName: "mei.ssh", proxyType: "stcp")).error.isEmpty)
        #expect(try await Self.holder("mei.ssh", asks: other) == AditServiceHolder(name: "mei.ssh", peer: name))
        do {
            _ = try await other.open(FRPNewProxy(proxyName: "mei.ssh", proxyType: "xtcp"))
            Issue.record("a name was given twice")
        } catch let error as AditError {
            #expect(error.code == .proxyExists)
            #expect(error.what.english == "proxy [mei.ssh] already exists")
        }
        // It is free once its session is over.
        try await owner.stop()
        let third = try await Self.guest(test, user: "mei")
        _ = try await third.connected()
        #expect(try await third.open(FRPNewProxy(proxyName: "mei.ssh", proxyType: "sudp")).error.isEmpty)
        try await other.stop()
        try await third.stop()
        try await test.stop()
    }

    @Test func guestsAndDevicesDoNotReachEachOther() async throws {
        let test = try await TestServer.start { $0.token = "secret" }
        let guest = try await Self.guest(test, user: "mei")
        let device = try await TestDevice(test, name: "desk", token: "secret", change: { $0.takesSignals = true })
        let guestName = try #require(try await guest.connected().adit?.deviceName)
        let deviceName = try #require(try await device.connected().adit?.deviceName)
        for (sender, receiver) in [(guest, deviceName), (device, guestName)] {
            let signature = [UInt8](repeating: 1, count: 64)
            sender.session.signal(AditPeerSignal(peer: receiver, body: [1], signature: signature))
            let answer: AditPeerUnavailable = try await sender.wait { event in
                if case .peerUnavailable(let answer) = event { answer } else { nil }
            }
            #expect(answer.peer == receiver)
            #expect(answer.knownReason == .offline || answer.knownReason == .unknown)
        }
        // A device is no guest, and has no say among them.
        device.session.register(FRPNewProxy(proxyName: "mei.ssh", proxyType: "stcp", adit: AditTunnelRequest()))
        let error: AditError = try await device.wait { event in
            if case .registrationFailed("mei.ssh", let error, _) = event { error } else { nil }
        }
        #expect(error.code == .kindUnavailable)
        try await guest.stop()
        try await device.stop()
        try await test.stop()
    }
}
