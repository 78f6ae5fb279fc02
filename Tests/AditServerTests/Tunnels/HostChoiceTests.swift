// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTunnel
import AditWire
import Testing

struct HostChoiceTests {
    /// A request and what becomes of it.
    struct Row: Sendable, CustomTestStringConvertible {
        var request: FRPNewProxy
        var role = ServerSetup.Role.adit
        var domain: String? = "t.example"
        var hosts: [String] = []
        var leases: [String] = []
        var refusal: ErrorCode?

        var testDescription: String {
            "\(role) \(request.adit?.name ?? "")\(request.subdomain) \(request.customDomains)"
        }
    }

    static let rows = [
        Row(request: FRPNewProxy()),
        Row(request: .http("p", name: "Photos"), hosts: ["photos.t.example"], leases: ["photos"]),
        Row(request: FRPNewProxy(subdomain: "a"), hosts: ["a.t.example"], leases: ["a"]),
        Row(
            request: FRPNewProxy(customDomains: ["Blog.Example.com."]),
            hosts: ["blog.example.com"],
            leases: ["blog.example.com"]
        ),
        Row(
            request: FRPNewProxy(customDomains: ["*.example.com"]),
            hosts: ["*.example.com"],
            leases: ["*.example.com"]
        ),
        Row(request: .http("p", name: "blog.example.com"), hosts: ["blog.example.com"], leases: ["blog.example.com"]),
        // A custom domain in front of the server's own is just a name there.
        Row(request: FRPNewProxy(customDomains: ["a.t.example"]), hosts: ["a.t.example"], leases: ["a"]),
        Row(request: FRPNewProxy(customDomains: ["a.b.t.example"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(customDomains: ["t.example"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(customDomains: ["*"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(customDomains: ["*.t.example"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(customDomains: ["*.example"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(customDomains: ["a@b.example"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(customDomains: ["a.*.example"]), refusal: .nameInvalid),
        Row(request: FRPNewProxy(subdomain: "a.b"), refusal: .nameInvalid),
        Row(request: .http("p", name: "kept"), refusal: .nameReserved),
        Row(request: .http("p", name: "admin"), refusal: .nameReserved),
        Row(request: .http("p", name: "photos"), domain: nil, refusal: .nameInvalid),
        // frps knows no reserved names and lets a client take every host.
        Row(request: FRPNewProxy(subdomain: "admin"), role: .frps, hosts: ["admin.t.example"], leases: ["admin"]),
        Row(request: FRPNewProxy(customDomains: ["*"]), role: .frps, hosts: ["*"], leases: ["*"]),
        Row(request: FRPNewProxy(customDomains: ["a.t.example"]), role: .frps, refusal: .nameInvalid),
        Row(request: FRPNewProxy(subdomain: "a.b"), role: .frps, refusal: .nameInvalid),
    ]

    @Test(arguments: rows) func hostsFollowTheRulesOfTheRole(row: Row) throws {
        if let refusal = row.refusal {
            let error = #expect(throws: AditError.self) { try choose(row) }
            #expect(error?.code == refusal)
        } else {
            let choice = try choose(row)
            #expect(choice.hosts.map(\.host.text) == row.hosts)
            #expect(choice.hosts.map(\.leaseName) == row.leases)
        }
    }

    private func choose(_ row: Row) throws -> HostChoice {
        try HostChoice(row.request, domain: row.domain, role: row.role, reserved: ["kept"])
    }

    @Test func aRequestForTooMuchIsRefused() {
        let many = Array(repeating: "a.example", count: TunnelTerms.maximumEntries + 1)
        #expect(throws: AditError.self) { try TunnelTerms(FRPNewProxy(proxyType: "http", customDomains: many)) }
        #expect(throws: AditError.self) { try TunnelTerms(FRPNewProxy(proxyType: "tcp", remotePort: 65536)) }
        #expect(throws: AditError.self) { try TunnelTerms(FRPNewProxy(proxyType: "tcp", remotePort: -1)) }
        #expect(throws: AditError.self) { try TunnelTerms(.tcp("t", expiresIn: -1)) }
        #expect(throws: AditError.self) { try TunnelTerms(.tcp("t", expiresIn: .max)) }
        #expect(throws: AditError.self) { try TunnelTerms(FRPNewProxy(proxyType: "tcp", group: "g")) }
    }

    @Test func whoMayVisitIsDecidedByTheAllowList() throws {
        let open = try TunnelTerms(.tcp("t"))
        #expect(open.admits(IPAddress("203.0.113.7")))
        #expect(open.admits(nil))
        let narrow = try TunnelTerms(.tcp("t", allow: ["10.0.0.0/8", "2001:db8::/32"]))
        #expect(narrow.admits(IPAddress("10.9.8.7")))
        #expect(narrow.admits(IPAddress("::ffff:10.9.8.7")))
        #expect(narrow.admits(IPAddress("2001:db8::1")))
        #expect(!narrow.admits(IPAddress("11.0.0.1")))
        #expect(!narrow.admits(nil))
    }

    @Test func riskyPortsNeedAWordFromAPerson() throws {
        #expect(throws: AditError.self) { try TunnelTerms(.tcp("t", target: "localhost:3389")) }
        #expect(throws: AditError.self) { try TunnelTerms(.tcp("t", target: "[::1]:22")) }
        #expect(throws: AditError.self) { try TunnelTerms(.tcp("t", port: 22)) }
        #expect(throws: Never.self) { try TunnelTerms(.tcp("t", target: "localhost:22", isPublic: true)) }
        #expect(throws: Never.self) { try TunnelTerms(.tcp("t", target: "localhost:22", allow: ["10.0.0.0/8"])) }
        #expect(throws: Never.self) { try TunnelTerms(.tcp("t", target: "localhost:2222")) }
        // frp has no way to say it.
        #expect(throws: Never.self) { try TunnelTerms(FRPNewProxy(proxyType: "tcp", remotePort: 22)) }
    }

    @Test func addressesAreWrittenAsPeopleTypeThem() {
        #expect(PublicAddress.web(host: "a.example", port: 80) == "http://a.example")
        #expect(PublicAddress.web(host: "a.example", port: 8080) == "http://a.example:8080")
        #expect(PublicAddress.web(host: "2001:db8::1", port: 8080) == "http://[2001:db8::1]:8080")
        #expect(PublicAddress.endpoint(host: "203.0.113.7", port: 80) == "203.0.113.7:80")
        #expect(PublicAddress.frpName(host: "a.example", port: 443) == "a.example")
        #expect(PublicAddress.frpName(host: "a.example", port: 8080) == "a.example:8080")
    }
}
