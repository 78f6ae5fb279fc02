// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTransport
import AditWire
import NIOCore
import NIOPosix
import Testing

extension FRPNewProxy {
    static func tls(
        _ proxyName: String,
        name: String = "",
        domains: [String] = [],
        allow: [String] = [],
        expiresIn: Int = 0
    ) -> FRPNewProxy {
        FRPNewProxy(
            proxyName: proxyName,
            proxyType: "https",
            customDomains: domains,
            adit: AditTunnelRequest(target: "localhost:8443", name: name, allow: allow, expiresIn: expiresIn)
        )
    }
}

struct PassthroughTests {
    /// The alert for a name that nothing is served under.
    private static let unrecognizedName = "\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}p"

    private func start(_ change: (inout ServerSetup) -> Void = { _ in }) async throws -> TestServer {
        try await TestServer.start { setup in
            setup.httpsPort = 0
            change(&setup)
        }
    }

    @Test func aTLSVisitorIsLedToTheDeviceThatHasTheName() async throws {
        let own = try SelfSignedCertificate.make(name: "own", dnsNames: ["secret.localhost"], notBefore: 1_700_000_000)
        let test = try await start()
        let service = WebService.secure(try own.serverContext())
        let device = try await TestDevice(test, invite: test.invite(), service: service)
        let response = try await device.open(.tls("vault", name: "secret"))
        let port = test.server.httpsPort
        #expect(response.adit?.addresses == ["https://secret.localhost:\(port)"])
        #expect(response.adit?.name == "secret")
        // The certificate is the device's own: nobody in between could read what is inside.
        for name in ["secret.localhost", "SECRET.localhost"] {
            let answer = try await SecureVisitor.get(port, name: name, trusting: own)
            #expect(answer.text.hasSuffix("inside"))
        }
        let tunnel = try #require(test.server.table.tunnels.first)
        #expect(tunnel.counters.current.visitors == 2)
        #expect(tunnel.counters.current.bytesOut > 6)
        try await device.stop()
        let gone = try await eventually {
            try await SecureVisitor.get(port, name: "secret.localhost", trusting: own)
        } until: {
            $0.failure?.contains("UNRECOGNIZED_NAME") == true
        }
        #expect(gone.failure?.contains("UNRECOGNIZED_NAME") == true)
        try await test.stop()
    }

    @Test func aHelloInManyPiecesReachesTheDeviceWhole() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite())
        _ = try await device.open(.tls("echo", name: "echo"))
        let hello = ClientHelloBytes.hello("echo.localhost", fragment: 40)
        let visitor = try await Visitor.connect(test.server.httpsPort)
        for byte in hello.utf8 { try await visitor.send(String(UnicodeScalar(byte))) }
        #expect(try await visitor.receive(hello) == hello)
        try await visitor.finish()
        #expect(try await visitor.rest() == hello)
        try await device.stop()
        try await test.stop()
    }

    @Test(arguments: ["nobody.localhost", "a..localhost", "*.localhost", "x:443", "127.0.0.1", "", nil])
    func aNameThatNobodyHasGetsAnAlert(name: String?) async throws {
        let test = try await start()
        let visitor = try await Visitor.connect(test.server.httpsPort)
        try await visitor.send(ClientHelloBytes.hello(name, fragment: 4096))
        let answer = try await visitor.rest()
        // An empty name makes the message unreadable.
        #expect(answer == (name == "" ? "\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}2" : Self.unrecognizedName))
        try await test.stop()
    }

    @Test func whatIsNoTLSIsClosed() async throws {
        let test = try await start()
        #expect(try await get(test.server.httpsPort, "nobody.localhost") == "")
        try await test.stop()
    }

    @Test func aVisitorWhoSaysNothingIsDropped() async throws {
        let test = try await TestServer.start { setup in
            setup.httpsPort = 0
        } parts: {
            $0.handshakePatience = .milliseconds(50)
        }
        let silent = try await Visitor.connect(test.server.httpsPort)
        #expect(try await silent.rest() == "")
        let half = try await Visitor.connect(test.server.httpsPort)
        try await half.send(String(ClientHelloBytes.hello("a.localhost", fragment: 4096).prefix(30)))
        #expect(try await half.rest() == "")
        try await test.stop()
    }

    @Test func theAllowListAndTheEndOfATunnelHoldForEachVisitor() async throws {
        let own = try SelfSignedCertificate.make(name: "own", dnsNames: ["secret.localhost"], notBefore: 1_700_000_000)
        let test = try await start()
        let service = WebService.secure(try own.serverContext())
        let device = try await TestDevice(test, invite: test.invite(), service: service)
        _ = try await device.open(.tls("closed", name: "closed", allow: ["192.0.2.0/24"]))
        let refused = try await SecureVisitor.get(test.server.httpsPort, name: "closed.localhost", trusting: nil)
        #expect(refused.text.isEmpty)
        #expect(test.server.table.tunnels.first?.counters.current.refused == 1)
        _ = try await device.open(.tls("short", name: "secret", expiresIn: 1))
        let visitor = try await SecureVisitor.connect(test.server.httpsPort, name: "secret.localhost", trusting: own)
        _ = try await visitor.wait { $0.isReady }
        #expect(try await device.closed("short").code == .limitReached)
        #expect(try await visitor.rest().isEnded)
        try await device.stop()
        try await test.stop()
    }

    @Test func aNameBelongsToItsDeviceForHTTPAndTLSAlike() async throws {
        let test = try await start()
        let nas = try await TestDevice(test, name: "nas", invite: test.invite(), service: EchoService.page)
        let mei = try await TestDevice(test, name: "mei", invite: test.invite())
        _ = try await nas.open(.http("photos", name: "photos"))
        let taken = await #expect(throws: AditError.self) { try await mei.open(.tls("x", name: "photos")) }
        #expect(taken?.code == .nameTaken)
        _ = try await nas.open(.tls("photos-tls", name: "photos"))
        #expect(try await get(test, "photos.localhost").hasPrefix("HTTP/1.1 200 "))
        try await nas.stop()
        let kept = await #expect(throws: AditError.self) { try await mei.open(.tls("x", name: "photos")) }
        #expect(kept?.code == .nameTaken)
        try await mei.stop()
        try await test.stop()
    }

    @Test func aTLSTunnelKeepsItsGeneratedName() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite())
        let name = try await device.open(.tls("one")).adit?.name
        #expect(name?.isEmpty == false)
        try await device.stop()
        let again = try await TestDevice(test, key: device.key)
        #expect(try await again.open(.tls("two")).adit?.name == name)
        try await again.stop()
        try await test.stop()
    }

    @Test func whatATLSTunnelCannotDoIsSaid() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let none = await #expect(throws: AditError.self) { try await device.open(.tls("x", name: "x")) }
        #expect(none?.code == .kindUnavailable)
        try await device.stop()
        try await test.stop()

        let noDomain = try await start { $0.domain = nil }
        let other = try await TestDevice(noDomain, invite: noDomain.invite())
        let fault = await #expect(throws: AditError.self) { try await other.open(.tls("x")) }
        #expect(fault?.code == .nameInvalid)
        let own = try await other.open(.tls("own", domains: ["vault.example.org"]))
        #expect(own.adit?.addresses == ["https://vault.example.org:\(noDomain.server.httpsPort)"])
        var withPassword = FRPNewProxy.tls("y", domains: ["a.example.org"])
        withPassword.adit?.auth = ["a:b"]
        let request = withPassword
        let misuse = await #expect(throws: AditError.self) { try await other.open(request) }
        #expect(misuse?.code == .usage)
        try await other.stop()
        try await noDomain.stop()
    }

    @Test(arguments: [false, true])
    func anFRPClientMayHaveOneDomainForHTTPAndHTTPS(isFRPS: Bool) async throws {
        let test = try await start { setup in
            setup.token = "t"
            if isFRPS { setup.role = .frps }
        }
        let frp = try await TestDevice(test, token: "t", isFRP: true)
        var web = FRPNewProxy(proxyName: "web", proxyType: "http", customDomains: ["a.example.org"])
        web.locations = ["/"]
        #expect(try await frp.open(web).remoteAddress == "a.example.org:\(test.server.httpPort)")
        let tls = FRPNewProxy(proxyName: "tls", proxyType: "https", customDomains: ["a.example.org"])
        #expect(try await frp.open(tls).remoteAddress == "a.example.org:\(test.server.httpsPort)")
        let visitor = try await Visitor.connect(test.server.httpsPort)
        let hello = ClientHelloBytes.hello("a.example.org", fragment: 4096)
        try await visitor.send(hello)
        #expect(try await visitor.receive(hello) == hello)
        try await visitor.close()
        try await frp.stop()
        try await test.stop()
    }

    @Test func aLongAnswerReachesAVisitorWhoReadsSlowly() async throws {
        let own = try SelfSignedCertificate.make(name: "own", dnsNames: ["big.localhost"], notBefore: 1_700_000_000)
        let test = try await start()
        let service = WebService.flood(8 << 20, try own.serverContext())
        let device = try await TestDevice(test, invite: test.invite(), service: service)
        _ = try await device.open(.tls("big", name: "big"))
        let visitor = try await SecureVisitor.connect(
            test.server.httpsPort,
            name: "big.localhost",
            trusting: own,
            isSlow: true
        )
        try await visitor.send("GET / HTTP/1.1\r\nHost: big.localhost\r\n\r\n")
        let answer = try await visitor.rest()
        #expect(answer.byteCount > 8 << 20)
        #expect(answer.failure == nil)
        try await device.stop()
        try await test.stop()
    }
}

/// ClientHellos as a test writes them: every byte is one of ASCII, so that they pass as text.
enum ClientHelloBytes {
    static func hello(_ name: String?, fragment: Int) -> String {
        var body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + [0, 0, 2, 19, 1, 1, 0]
        var extensions: [UInt8] = []
        if let name {
            let entry = [0] + two(name.utf8.count) + Array(name.utf8)
            extensions = [0, 0] + two(entry.count + 2) + two(entry.count) + entry
        }
        extensions += [0, 43, 0, 3, 2, 3, 4]
        body += two(extensions.count) + extensions
        let message = [1, 0] + two(body.count) + body
        let records = stride(from: 0, to: message.count, by: fragment).flatMap { start in
            let piece = message[start..<min(start + fragment, message.count)]
            return [22, 3, 1] + two(piece.count) + piece
        }
        return String(decoding: records, as: UTF8.self)
    }

    private static func two(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
}
