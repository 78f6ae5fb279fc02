// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import Testing

@Suite("Routes by host")
struct HostRoutesTests {
    struct Lookup: Sendable {
        var host: String
        var path = "/"
        var user: String?
        var found: UInt64?
    }

    private static func table() throws -> HostRoutes {
        var routes = HostRoutes()
        let entries: [(String, String, String)] = [
            ("a.example.com", "", ""), ("a.example.com", "/api", ""), ("a.example.com", "/api/v2", ""),
            ("a.example.com", "", "bob"), ("*.example.com", "", ""), ("*.b.example.com", "", ""), ("*.org", "", ""),
            ("only.user.net", "", "eve"), ("*.user.net", "", ""),
        ]
        for (number, entry) in entries.enumerated() {
            let host = try #require(HostName(entry.0))
            let route = HostRoute(host: host, location: entry.1, user: entry.2)
            #expect(routes.insert(route, TunnelID(UInt64(number))) == true)
        }
        return routes
    }

    @Test(
        "The most particular route wins, as in frps",
        arguments: [
            Lookup(host: "a.example.com", found: 0),
            Lookup(host: "A.Example.COM.", found: 0),
            Lookup(host: "a.example.com:8080", found: 0),
            Lookup(host: "a.example.com", path: "/api/x", found: 1),
            Lookup(host: "a.example.com", path: "/apix", found: 1),
            Lookup(host: "a.example.com", path: "/api/v2/y", found: 2),
            Lookup(host: "a.example.com", path: "/api/v2", user: "bob", found: 3),
            Lookup(host: "a.example.com", user: "alice", found: 0),
            Lookup(host: "z.example.com", found: 4),
            Lookup(host: "y.z.example.com", found: 4),
            Lookup(host: "x.b.example.com", found: 5),
            Lookup(host: "example.com", found: nil),
            Lookup(host: "example.org", found: nil),
            Lookup(host: "a.example.org", found: nil),
            Lookup(host: "only.user.net", user: "eve", found: 7),
            Lookup(host: "only.user.net", found: 8),
            Lookup(host: "*.example.com", found: nil),
            Lookup(host: "*", found: nil),
            Lookup(host: "", found: nil),
            Lookup(host: "a@a.example.com", found: nil),
            Lookup(host: "a.example.com:80:80", found: nil),
            Lookup(host: "a..example.com", found: nil),
        ]
    )
    func lookup(_ lookup: Lookup) throws {
        let found = try Self.table().lookup(host: lookup.host, path: lookup.path, user: lookup.user)
        #expect(found == lookup.found.map { TunnelID($0) })
    }

    @Test("A star alone takes what nothing else takes, and a removed route is gone")
    func star() throws {
        var routes = try Self.table()
        let star = HostRoute(host: try #require(HostName("*")))
        #expect(routes.insert(star, TunnelID(99)) == true)
        #expect(routes.lookup(host: "example.com", path: "/", user: nil) == TunnelID(99))
        #expect(routes.lookup(host: "10.0.0.1", path: "/", user: nil) == TunnelID(99))
        #expect(routes.insert(star, TunnelID(100)) == false)
        #expect(routes.remove(star) == TunnelID(99))
        #expect(routes.remove(star) == nil)
        #expect(routes.lookup(host: "example.com", path: "/", user: nil) == nil)
        #expect(routes.count == 9)
    }

    @Test(
        "A host is read in one spelling or not at all",
        arguments: [
            ("Web.Example.COM", "web.example.com"), ("web.example.com.", "web.example.com"),
            ("web.example.com:443", "web.example.com"), ("[2001:DB8:0::1]:80", "2001:db8::1"), ("[::1]", "::1"),
            ("localhost", "localhost"), ("a_b.example", "a_b.example"), ("web:", "web"), ("web:99999", nil),
            ("web:8x", nil), ("we b", nil), ("web\r\n", nil), ("web/path", nil), ("::1", nil), ("[::1", nil),
            (".", nil), (".web", nil), ("web..", nil), ("b\u{fc}cher.example", nil), ("user@web", nil),
            (String(repeating: "a", count: 64) + ".example", nil), ("[127.0.0.1]", nil), ("[::1]80", nil),
        ] as [(String, String?)]
    )
    func hostName(_ header: String, _ expected: String?) {
        #expect(HostName(header)?.text == expected)
    }

    @Test(
        "A star may only stand for whole labels at the front",
        arguments: [("*", true), ("*.a.b", true), ("a.b", true), ("a.*.b", false), ("*a.b", false), ("*.*.b", false)]
    )
    func pattern(_ text: String, _ isPattern: Bool) throws {
        #expect(try #require(HostName(text)).isPattern == isPattern)
    }
}
