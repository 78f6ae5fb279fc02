// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import Testing

@Suite("Hosts of TLS in the registry")
struct TLSRouteTests {
    private let laptop = TunnelOwner.device(key: [1])
    private let phone = TunnelOwner.device(key: [2])
    private let frp = TunnelOwner.frp(user: "", runID: "r1")
    private let otherFRP = TunnelOwner.frp(user: "", runID: "r2")

    private func host(_ text: String) throws -> HostName { try #require(HostName(text)) }

    private func web(_ text: String) throws -> TunnelResource { .route(HostRoute(host: try host(text))) }

    private func tls(_ text: String) throws -> TunnelResource { .tls(try host(text)) }

    private func claim(_ owner: TunnelOwner, _ name: String, _ resource: TunnelResource) -> TunnelClaim {
        TunnelClaim(owner: owner, session: "\(owner)", proxyName: name, resources: [resource])
    }

    @Test("One device may have a host for HTTP and for TLS, and no other device either of them")
    func ownership() throws {
        var registry = TunnelRegistry()
        let first = try registry.claim(claim(laptop, "web", web("blog.example.com")))
        let second = try registry.claim(claim(laptop, "tls", tls("blog.example.com")))
        #expect(second.displaced.isEmpty)
        let name = try host("blog.example.com")
        #expect(registry.routes.lookup(name, path: "/", user: nil) == first.tunnel)
        #expect(registry.tlsRoutes.lookup(name, path: "/", user: nil) == second.tunnel)
        for resource in [try web("blog.example.com"), try tls("blog.example.com")] {
            #expect(throws: TunnelConflict.self) { try registry.claim(claim(phone, "x", resource)) }
            #expect(throws: TunnelConflict.self) { try registry.claim(claim(frp, "x", resource)) }
        }
        #expect(!registry.isFree(name, for: laptop))
        #expect(registry.release("web", of: laptop, session: "\(laptop)") != nil)
        #expect(throws: TunnelConflict.self) { try registry.claim(claim(phone, "x", web("blog.example.com"))) }
        #expect(registry.release("tls", of: laptop, session: "\(laptop)") != nil)
        #expect(registry.tlsRoutes.count == 0)
        #expect(registry.isFree(name, for: phone))
    }

    @Test("A device takes its own TLS host over, and a reservation keeps others away")
    func takeover() throws {
        var registry = TunnelRegistry()
        let old = claim(laptop, "old", try tls("blog.example.com"))
        _ = try registry.claim(old)
        #expect(try registry.claim(claim(laptop, "new", tls("blog.example.com"))).displaced == [old])
        registry.reserve(try host("kept.example.com"), for: laptop)
        #expect(throws: TunnelConflict.self) { try registry.claim(claim(phone, "x", tls("kept.example.com"))) }
        _ = try registry.claim(claim(laptop, "kept", tls("kept.example.com")))
    }

    @Test("Clients of frp may share a host between http and https, and each of them is first come, first served")
    func frpRules() throws {
        var registry = TunnelRegistry()
        _ = try registry.claim(claim(frp, "web", web("a.example.com")))
        _ = try registry.claim(claim(otherFRP, "tls", tls("a.example.com")))
        #expect(throws: TunnelConflict.self) { try registry.claim(claim(frp, "again", tls("a.example.com"))) }
        #expect(throws: TunnelConflict.self) { try registry.claim(claim(otherFRP, "again", tls("a.example.com"))) }
    }

    @Test("The pattern of a host is found as its routes are")
    func pattern() throws {
        var routes = HostRoutes()
        _ = routes.insert(HostRoute(host: try host("a.example.com"), location: "/api"), TunnelID(1))
        _ = routes.insert(HostRoute(host: try host("*.example.com")), TunnelID(2))
        #expect(routes.pattern(for: try host("A.example.com.")) == "a.example.com")
        #expect(routes.pattern(for: try host("b.c.example.com")) == "*.example.com")
        #expect(routes.pattern(for: try host("example.com")) == nil)
        #expect(routes.pattern(for: try host("*.example.com")) == nil)
        _ = routes.insert(HostRoute(host: try host("*")), TunnelID(3))
        #expect(routes.pattern(for: try host("example.org")) == "*")
    }
}
