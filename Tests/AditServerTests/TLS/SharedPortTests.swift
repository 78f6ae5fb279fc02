// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import AditTransport
import AditWire
import Testing

/// One port for visitors with TLS and for sessions, for requests without TLS, or for all three.
struct SharedPortTests {
    private let certificates: TestCertificates
    private let wildcard: SelfSignedCertificate

    init() throws {
        certificates = try TestCertificates()
        wildcard = try certificates.write("wildcard", names: ["*.tunnel.test"]).made
    }

    enum Sharing: CaseIterable {
        case sessions
        case names
        case all
    }

    @Test(arguments: Sharing.allCases)
    func onePortTakesEveryPeer(sharing: Sharing) async throws {
        let port = try #require(try await FreePorts.range(1).ranges.first?.lowerBound)
        let test = try await TestServer.start { setup in
            setup.httpsPort = port
            setup.domain = "tunnel.test"
            setup.certificates = [certificates.files("wildcard")]
            setup.redirectsToTLS = false
            setup.token = "t"
            if sharing != .names { setup.sessionPort = port }
            if sharing != .sessions { setup.httpPort = port }
        }
        #expect(test.server.httpsPort == port)
        let own = try SelfSignedCertificate.make(name: "own", dnsNames: ["vault.tunnel.test"], notBefore: 1_700_000_000)
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "web"))
        let secure = WebService.secure(try own.serverContext())
        let vault = try await TestDevice(test, name: "vault", invite: test.invite(), service: secure) { configuration in
            // A session may call the server by its name.
            configuration.serverTrust = .pinned(test.server.fingerprint)
        }
        _ = try await vault.open(.tls("vault", name: "vault"))
        let frp = try await TestDevice(
            test,
            token: "t",
            isFRP: true,
            change: { configuration in
                configuration.serverTrust = .unverified(name: "localhost")
            }
        )
        _ = try await frp.connected()
        let web = try await SecureVisitor.get(port, name: "web.tunnel.test", trusting: wildcard)
        #expect(web.text.hasSuffix("hello"))
        let inside = try await SecureVisitor.get(port, name: "vault.tunnel.test", trusting: own)
        #expect(inside.text.hasSuffix("inside"))
        let nobody = try await SecureVisitor.get(port, name: "x.example.org", trusting: nil)
        #expect(nobody.failure?.contains("UNRECOGNIZED_NAME") == true)
        #expect(try await get(test, "web.tunnel.test").hasSuffix("hello"))
        for device in [device, vault, frp] { try await device.stop() }
        try await test.stop()
    }
}
