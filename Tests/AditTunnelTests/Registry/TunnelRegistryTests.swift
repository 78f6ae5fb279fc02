// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("The registry of tunnels")
struct TunnelRegistryTests {
    private let laptop = TunnelOwner.device(key: [1])
    private let phone = TunnelOwner.device(key: [2])
    private let frp = TunnelOwner.frp(user: "", runID: "r1")
    private let otherFRP = TunnelOwner.frp(user: "", runID: "r2")

    private func route(_ host: String, _ location: String = "", user: String = "") throws -> TunnelResource {
        .route(HostRoute(host: try #require(HostName(host)), location: location, user: user))
    }

    private func claim(
        _ owner: TunnelOwner,
        _ session: String,
        _ name: String,
        _ resources: TunnelResource...
    ) -> TunnelClaim {
        TunnelClaim(owner: owner, session: session, proxyName: name, resources: resources)
    }

    @Test("The same device takes its own name and port over from an older session at once")
    func takeover() throws {
        var registry = TunnelRegistry()
        let old = claim(laptop, "old", "web", try route("web.example.com"), .port(.tcp, 20000))
        #expect(try registry.claim(old).displaced.isEmpty)
        let new = claim(laptop, "new", "web", try route("web.example.com"), .port(.tcp, 20000))
        let grant = try registry.claim(new)
        #expect(grant.displaced == [old])
        #expect(registry.count == 1)
        #expect(registry.routes.lookup(host: "web.example.com", path: "/", user: nil) == grant.tunnel)
        #expect(registry.releaseAll(ofSession: "old").isEmpty)
        #expect(registry.release("web", of: laptop, session: "old") == nil)
        #expect(registry.releaseAll(ofSession: "new") == [new])
        #expect(registry.count == 0)
        #expect(registry.routes.count == 0)
    }

    @Test("Resources of two tunnels of one device are taken over together")
    func takeoverOfSeveral() throws {
        var registry = TunnelRegistry()
        let web = claim(laptop, "s", "web", try route("web.example.com"))
        let ssh = claim(laptop, "s", "ssh", .port(.tcp, 20022))
        _ = try registry.claim(web)
        _ = try registry.claim(ssh)
        let both = claim(laptop, "t", "both", try route("web.example.com"), .port(.tcp, 20022))
        #expect(try registry.claim(both).displaced == [web, ssh])
        #expect(registry.count == 1)
    }

    @Test("Another device is refused, told what is free, and nothing changes")
    func refusal() throws {
        var registry = TunnelRegistry()
        _ = try registry.claim(claim(laptop, "s", "web", try route("web.example.com"), .port(.tcp, 20000)))
        let wanted = claim(phone, "p", "web", try route("web.example.com"))
        let name = #expect(throws: TunnelConflict.self) {
            try registry.claim(wanted, freeHosts: { _ in ["web-2.example.com"] })
        }
        #expect(name?.error.code == .nameTaken)
        #expect(name?.error.fix?.english.contains("web-2.example.com") == true)
        #expect(name?.frpText == "router config conflict")
        let port = #expect(throws: TunnelConflict.self) {
            try registry.claim(claim(phone, "p", "p", .port(.tcp, 20000)), freePorts: { _, _ in [20001, 20002] })
        }
        #expect(port?.error.code == .portTaken)
        #expect(port?.error.fix?.english == "use a free one: 20001, 20002")
        #expect(port?.frpText == "port already used")
        #expect(registry.count == 1)
        // The same number on the other transport is another port.
        #expect(throws: Never.self) { try registry.claim(claim(phone, "p", "u", .port(.udp, 20000))) }
    }

    @Test("frp clients share one space of names and get frps's answers")
    func frpRules() throws {
        var registry = TunnelRegistry()
        _ = try registry.claim(claim(frp, "r1", "web", try route("demo.example.com", "/a")))
        for owner in [frp, otherFRP] {
            let error = #expect(throws: TunnelConflict.self) {
                try registry.claim(claim(owner, "r", "web", .port(.tcp, 1)))
            }
            #expect(error?.frpText == "proxy [web] already exists")
        }
        // Two clients may share a host by location or by user, but not the very same route.
        #expect(throws: Never.self) {
            try registry.claim(claim(otherFRP, "r2", "web2", try route("demo.example.com", "/b")))
        }
        #expect(throws: Never.self) {
            try registry.claim(claim(otherFRP, "r2", "web3", try route("demo.example.com", "/a", user: "bob")))
        }
        #expect(throws: TunnelConflict.self) {
            try registry.claim(claim(otherFRP, "r2", "web4", try route("demo.example.com", "/a")))
        }
        #expect(throws: TunnelConflict.self) {
            try registry.claim(claim(frp, "r1", "again", try route("demo.example.com", "/a")))
        }
        // A device and an frp client never share a host, in either order.
        #expect(throws: TunnelConflict.self) {
            try registry.claim(claim(laptop, "d", "web", try route("demo.example.com", "/c")))
        }
        _ = try registry.claim(claim(laptop, "d", "web", try route("mine.example.com")))
        #expect(throws: TunnelConflict.self) {
            try registry.claim(claim(frp, "r1", "w", try route("mine.example.com", "/x")))
        }
    }

    @Test("A reservation keeps others away while its owner is offline")
    func reservations() throws {
        var registry = TunnelRegistry()
        let host = try #require(HostName("web.example.com"))
        registry.reserve(host, for: laptop)
        registry.reserve(.tcp, 20000, for: laptop)
        #expect(registry.isFree(host, for: laptop))
        #expect(registry.isFree(host, for: phone) == false)
        #expect(registry.isFree(.tcp, 20000, for: phone) == false)
        #expect(registry.isFree(.udp, 20000, for: phone))
        #expect(throws: TunnelConflict.self) {
            try registry.claim(claim(phone, "p", "web", try route("web.example.com")))
        }
        #expect(throws: TunnelConflict.self) { try registry.claim(claim(phone, "p", "web", .port(.tcp, 20000))) }
        #expect(throws: Never.self) { try registry.claim(claim(laptop, "s", "web", try route("web.example.com"))) }
        #expect(registry.isFree(host, for: laptop) == false)
        registry.cancelReservation(.tcp, 20000)
        #expect(throws: Never.self) { try registry.claim(claim(phone, "p", "web", .port(.tcp, 20000))) }
    }

    @Test("An owner holds a bounded number of tunnels, and taking over does not count twice")
    func limit() throws {
        var registry = TunnelRegistry(maximumTunnelsPerOwner: 2)
        _ = try registry.claim(claim(laptop, "s", "a"))
        _ = try registry.claim(claim(laptop, "s", "b"))
        let error = #expect(throws: TunnelConflict.self) { try registry.claim(claim(laptop, "s", "c")) }
        #expect(error?.error.code == .limitReached)
        #expect(throws: Never.self) { try registry.claim(claim(laptop, "t", "b")) }
        _ = registry.releaseAll(ofSession: "s")
        #expect(throws: Never.self) { try registry.claim(claim(laptop, "s", "c")) }
    }

    @Test("Two devices may use the same proxy name, since each has its own")
    func namesAreTheDevices() throws {
        var registry = TunnelRegistry()
        _ = try registry.claim(claim(laptop, "s", "web", .port(.tcp, 1)))
        _ = try registry.claim(claim(phone, "p", "web", .port(.tcp, 2)))
        #expect(registry.tunnel(named: "web", of: laptop) != registry.tunnel(named: "web", of: phone))
        #expect(registry.tunnel(named: "web", of: frp) == nil)
    }
}
