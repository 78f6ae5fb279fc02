// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import Testing

struct LoginTests {
    @Test func anInviteLetsOneDeviceInAndTheDeviceComesBackWithoutIt() async throws {
        let test = try await TestServer.start()
        let invite = try test.invite()
        let first = try await TestDevice(test, name: "old-pc", invite: invite)
        #expect(try await first.connected().adit?.deviceName == "old-pc")
        test.time.withLockedValue { $0 += 720 }
        let second = try await TestDevice(test, name: "new-pc", invite: invite)
        let error = try await second.refused()
        #expect(error.code == .inviteUsed)
        #expect(error.why.first?.english == "12 min ago by \"old-pc\"")
        #expect(error.why.first?.chinese.contains("12 分钟") == true)
        try await first.stop()
        let again = try await TestDevice(test, key: first.key, name: "renamed")
        #expect(try await again.connected().adit?.deviceName == "old-pc")
        try await second.stop()
        try await again.stop()
        try await test.stop()
    }

    /// One login and what it must lead to.
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var invite: [UInt8]?
        var token: String?
        var isFRP = false
        var serverToken: String?
        var allowsFRP = true
        var refusal: ErrorCode?

        var testDescription: String { name }
    }

    static let rows = [
        Row(name: "nothing", refusal: .notJoined),
        Row(name: "an invite of nobody", invite: [1, 2, 3, 4, 5, 6, 7, 8], refusal: .inviteWrong),
        Row(name: "the token", token: "secret", serverToken: "secret"),
        Row(name: "a wrong token", token: "guess", serverToken: "secret", refusal: .tokenRefused),
        Row(name: "a token where there is none", token: "guess", refusal: .tokenRefused),
        Row(name: "frp with the token", token: "secret", isFRP: true, serverToken: "secret"),
        Row(name: "frp with a wrong token", token: "x", isFRP: true, serverToken: "secret", refusal: .tokenRefused),
        Row(name: "frp with an empty token", token: "", isFRP: true, serverToken: "secret", refusal: .tokenRefused),
        Row(name: "frp where there is no token", token: "", isFRP: true, refusal: .tokenRefused),
        Row(
            name: "frp where it is off",
            token: "secret",
            isFRP: true,
            serverToken: "secret",
            allowsFRP: false,
            refusal: .tokenRefused
        ),
    ]

    @Test(arguments: rows) func loginsAreDecidedByWhatTheyShow(row: Row) async throws {
        let test = try await TestServer.start { setup in
            setup.token = row.serverToken
            setup.allowsFRP = row.allowsFRP
        }
        let device = try await TestDevice(test, invite: row.invite, token: row.token, isFRP: row.isFRP)
        if let refusal = row.refusal {
            let error = try await device.refused()
            // An frp client only gets words.
            if !row.isFRP { #expect(error.code == refusal) }
            #expect(test.server.table.tunnels.isEmpty)
            #expect(try test.store.devices().isEmpty)
        } else {
            _ = try await device.connected()
        }
        try await device.stop()
        try await test.stop()
    }

    @Test func aKnownDeviceWithAWrongTokenIsRefused() async throws {
        let test = try await TestServer.start { $0.token = "secret" }
        let device = try await TestDevice(test, token: "secret")
        _ = try await device.connected()
        try await device.stop()
        let again = try await TestDevice(test, key: device.key, token: "guess")
        #expect(try await again.refused().code == .tokenRefused)
        try await again.stop()
        try await test.stop()
    }

    @Test func aRemovedDeviceIsSentAwayAtOnceWithItsVisitors() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, name: "phone", invite: test.invite())
        let port = try #require(try await device.open(.tcp("echo")).adit?.port)
        let visitor = try await Visitor.connect(port)
        try await visitor.send("x")
        #expect(try await visitor.receive("x") == "x")
        #expect(try test.store.removeDevice(named: "phone", at: test.now) != nil)
        try await test.server.recheck()
        #expect(try await visitor.rest() == "x")
        let sentAway = try await device.wait { event in
            switch event {
            case .refused(let error) where error.code == .deviceRemoved: error
            case .disconnected(let error, _) where error.code == .deviceRemoved: error
            default: nil
            }
        }
        #expect(sentAway.what.english.contains("removed this device"))
        let again = try await TestDevice(test, key: device.key)
        #expect(try await again.refused().code == .deviceRemoved)
        try await device.stop()
        try await again.stop()
        try await test.stop()
    }

    @Test func anFRPClientOpensTunnelsByFRPsRules() async throws {
        let test = try await TestServer.start { setup in
            setup.role = .frps
            setup.token = ""
            setup.allowsEmptyToken = true
            setup.domain = "example.com"
            setup.maximumPortsPerClient = 1
        }
        let client = try await TestDevice(test, token: "", isFRP: true, service: EchoService.page)
        let web = try await client.open(
            FRPNewProxy(proxyName: "web", proxyType: "http", customDomains: ["demo.yourserver.com"])
        )
        #expect(web.remoteAddress == "demo.yourserver.com:\(test.server.httpPort)")
        #expect(web.adit == nil)
        #expect(try await get(test, "demo.yourserver.com").hasSuffix("hello"))
        let tcp = try await client.open(FRPNewProxy(proxyName: "tcp", proxyType: "tcp"))
        #expect(tcp.remoteAddress.hasPrefix(":"))
        let cases = [
            (FRPNewProxy(proxyName: "two", proxyType: "tcp"), "exceed the max_ports_per_client"),
            (FRPNewProxy(proxyName: "x", proxyType: "http"), "custom domains and subdomain should set at least one"),
            (
                FRPNewProxy(proxyName: "y", proxyType: "http", customDomains: ["demo.yourserver.com"]),
                "router config conflict"
            ),
            (
                FRPNewProxy(proxyName: "z", proxyType: "http", customDomains: ["a.example.com"]),
                "should not belong to subdomain host"
            ),
            (FRPNewProxy(proxyName: "u", proxyType: "tcpmux"), "no tunnels of type"),
        ]
        for (proxy, text) in cases {
            let error = await #expect(throws: AditError.self) { try await client.open(proxy) }
            let words = error.map { [$0.what.english] + $0.why.map(\.english) }?.joined(separator: " ") ?? ""
            #expect(words.contains(text), "\(proxy.proxyName): \(words)")
        }
        let sub = try await client.open(FRPNewProxy(proxyName: "sub", proxyType: "http", subdomain: "www"))
        #expect(sub.remoteAddress == "www.example.com:\(test.server.httpPort)")
        try await client.stop()
        let gone = try await eventually {
            try await get(test, "demo.yourserver.com")
        } until: {
            $0.contains(" 404 ")
        }
        #expect(gone.contains(" 404 "))
        try await test.stop()
    }

    @Test func anFRPClientCannotTakeANameOfADeviceThatIsAway() async throws {
        let test = try await TestServer.start { $0.token = "secret" }
        let device = try await TestDevice(test, invite: test.invite())
        _ = try await device.open(.http("web", name: "photos"))
        try await device.stop()
        let client = try await TestDevice(test, token: "secret", isFRP: true)
        await #expect(throws: AditError.self) {
            try await client.open(FRPNewProxy(proxyName: "web", proxyType: "http", subdomain: "photos"))
        }
        try await client.stop()
        try await test.stop()
    }
}
