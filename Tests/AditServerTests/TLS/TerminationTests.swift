// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTransport
import AditWire
import NIOCore
import NIOSSL
import Testing

struct TerminationTests {
    private let certificates: TestCertificates
    private let wildcard: SelfSignedCertificate

    init() throws {
        certificates = try TestCertificates()
        wildcard = try certificates.write("wildcard", names: ["*.tunnel.test"]).made
    }

    private func start(_ change: (inout ServerSetup) -> Void = { _ in }) async throws -> TestServer {
        try await TestServer.start { setup in
            setup.httpsPort = 0
            setup.domain = "tunnel.test"
            setup.certificates = [certificates.files("wildcard")]
            change(&setup)
        }
    }

    @Test func aNameIsServedWithTheServersCertificate() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite(), service: WebService.mirror)
        let response = try await device.open(.http("web", name: "web"))
        let port = test.server.httpsPort
        #expect(
            response.adit?.addresses
                == ["https://web.tunnel.test:\(port)", "http://web.tunnel.test:\(test.server.httpPort)"]
        )
        let answer = try await SecureVisitor.get(port, name: "web.tunnel.test", trusting: wildcard)
        #expect(answer.text.hasPrefix("HTTP/1.1 200 "))
        #expect(answer.text.contains("\r\nX-Forwarded-Proto: https\r\n"))
        #expect(answer.text.contains("\r\nX-Forwarded-Port: \(port)\r\n"))
        #expect(answer.text.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"))
        #expect(!answer.text.lowercased().contains("strict-transport-security"))
        let older = try await SecureVisitor.connect(
            port,
            name: "web.tunnel.test",
            trusting: wildcard,
            maximumVersion: .tlsv12
        )
        #expect(try await older.wait { $0.isReady || $0.isEnded }.isReady)
        try await older.close()
        let oldest = try await SecureVisitor.connect(
            port,
            name: "web.tunnel.test",
            trusting: wildcard,
            maximumVersion: .tlsv11
        )
        #expect(try await oldest.rest().isReady == false)
        try await device.stop()
        try await test.stop()
    }

    @Test func errorPagesAreShownWithTLSToo() async throws {
        let test = try await start()
        let port = test.server.httpsPort
        let unknown = try await SecureVisitor.get(port, name: "nobody.tunnel.test", trusting: wildcard)
        #expect(unknown.text.hasPrefix("HTTP/1.1 404 "))
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "web"))
        try await device.stop()
        let offline = try await eventually {
            try await SecureVisitor.get(port, name: "web.tunnel.test", trusting: wildcard).text
        } until: {
            $0.hasPrefix("HTTP/1.1 503 ")
        }
        #expect(offline.hasPrefix("HTTP/1.1 503 "))
        // No certificate is for two labels below the domain.
        let deeper = try await SecureVisitor.get(port, name: "a.b.tunnel.test", trusting: nil)
        #expect(deeper.failure?.contains("UNRECOGNIZED_NAME") == true)
        try await test.stop()
    }

    @Test func theNameOfTheConnectionAndOfTheRequestHaveToAgree() async throws {
        let test = try await start()
        let port = test.server.httpsPort
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "web"))
        _ = try await device.open(.http("other", name: "other"))
        let get = { (host: String, target: String) in
            try await SecureVisitor.get(port, name: "web.tunnel.test", host: host, trusting: wildcard, target: target)
                .text.prefix(12)
        }
        for host in ["web.tunnel.test", "WEB.Tunnel.test", "web.tunnel.test.", "web.tunnel.test:8443"] {
            #expect(try await get(host, "/") == "HTTP/1.1 200", "\(host)")
        }
        for host in ["other.tunnel.test", "nobody.tunnel.test", "127.0.0.1", "localhost"] {
            #expect(try await get(host, "/") == "HTTP/1.1 421", "\(host)")
        }
        #expect(try await get("web.tunnel.test", "https://other.tunnel.test/") == "HTTP/1.1 421")
        #expect(try await get("other.tunnel.test", "https://web.tunnel.test/") == "HTTP/1.1 200")
        try await device.stop()
        try await test.stop()
    }

    @Test func aClientWithoutAServerNameIsServedAsFarAsTheCertificateGoes() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "web"))
        let get = { (host: String) in
            try await SecureVisitor.get(test.server.httpsPort, name: nil, host: host, trusting: wildcard).text.prefix(
                12
            )
        }
        #expect(try await get("web.tunnel.test") == "HTTP/1.1 200")
        #expect(try await get("127.0.0.1") == "HTTP/1.1 404")
        #expect(try await get("elsewhere.example.org") == "HTTP/1.1 421")
        try await device.stop()
        try await test.stop()
    }

    @Test func visitorsWithoutTLSAreSentToIt() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "web"))
        _ = try await device.open(
            FRPNewProxy(
                proxyName: "own",
                proxyType: "http",
                customDomains: ["app.example.org"],
                adit: AditTunnelRequest(target: "localhost:80")
            )
        )
        let moved = try await get(test, "web.tunnel.test")
        #expect(moved.hasPrefix("HTTP/1.1 307 "))
        #expect(moved.contains("\r\nLocation: https://web.tunnel.test:\(test.server.httpsPort)/\r\n"))
        // No certificate is for this one, so there is nowhere to send anybody.
        #expect(try await get(test, "app.example.org").hasPrefix("HTTP/1.1 200 "))
        try await device.stop()
        try await test.stop()

        let plain = try await start { $0.redirectsToTLS = false }
        let again = try await TestDevice(plain, invite: plain.invite(), service: EchoService.page)
        _ = try await again.open(.http("web", name: "web"))
        #expect(try await get(plain, "web.tunnel.test").hasPrefix("HTTP/1.1 200 "))
        try await again.stop()
        try await plain.stop()
    }

    @Test func aTLSTunnelGoesBeforeTheServersCertificate() async throws {
        let own = try SelfSignedCertificate.make(name: "own", dnsNames: ["web.tunnel.test"], notBefore: 1_700_000_000)
        let test = try await start()
        let port = test.server.httpsPort
        let web = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await web.open(.http("web", name: "web"))
        let secure = WebService.secure(try own.serverContext())
        let again = try await TestDevice(test, key: web.key, service: secure)
        _ = try await again.open(.tls("tls", name: "web"))
        #expect(try await SecureVisitor.get(port, name: "web.tunnel.test", trusting: own).text.hasSuffix("inside"))
        // What is served without TLS is another service then.
        #expect(try await get(test, "web.tunnel.test").hasPrefix("HTTP/1.1 200 "))
        try await again.stop()
        try await web.stop()
        try await test.stop()
    }

    @Test func aLongAnswerReachesAVisitorWhoReadsSlowly() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite(), service: WebService.flood(8 << 20, nil))
        _ = try await device.open(.http("big", name: "big"))
        let visitor = try await SecureVisitor.connect(
            test.server.httpsPort,
            name: "big.tunnel.test",
            trusting: wildcard,
            isSlow: true
        )
        try await visitor.send("GET / HTTP/1.1\r\nHost: big.tunnel.test\r\nConnection: close\r\n\r\n")
        let answer = try await visitor.rest()
        #expect(answer.byteCount > 8 << 20)
        #expect(answer.failure == nil)
        try await device.stop()
        try await test.stop()
    }

    @Test func aVisitorWhoEndsItsDirectionStillGetsTheAnswer() async throws {
        let test = try await start()
        let device = try await TestDevice(test, invite: test.invite(), service: WebService.flood(1 << 20, nil))
        _ = try await device.open(.http("big", name: "big"))
        let visitor = try await SecureVisitor.connect(
            test.server.httpsPort,
            name: "big.tunnel.test",
            trusting: wildcard
        )
        try await visitor.send("GET / HTTP/1.1\r\nHost: big.tunnel.test\r\n\r\n")
        try await visitor.finish()
        let answer = try await visitor.rest()
        #expect(answer.byteCount > 1 << 20)
        #expect(answer.failure == nil)
        try await device.stop()
        try await test.stop()
    }

    @Test func aHandshakeThatIsNeverFinishedIsDropped() async throws {
        let setup = certificates.files("wildcard")
        let test = try await TestServer.start {
            $0.httpsPort = 0
            $0.certificates = [setup]
        } parts: {
            $0.handshakePatience = .milliseconds(50)
        }
        let visitor = try await Visitor.connect(test.server.httpsPort)
        try await visitor.send(ClientHelloBytes.hello("a.tunnel.test", fragment: 4096))
        _ = try await visitor.rest()
        try await test.stop()
    }
}
