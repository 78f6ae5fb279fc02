// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal
import Foundation
import Testing

@testable import adit

@Suite struct NATDoctorJSONTests {
    private static let reports: [NATReport] = [
        NATReport(), .carrier, .symmetric, .opened, .firewalled, .poorServer, .hotel, .silent,
    ]

    @Test func `every report is one line with the same members`() throws {
        let members: Set = [
            "event", "access", "udp", "tcp", "ipv6", "public", "hops", "nats", "carrier_nat", "hairpin", "pooling",
            "lifetime", "port_mapping", "udp_blocked", "web_only", "captive_portal", "firewall", "direct", "uncertain",
            "interfaces", "servers", "changed", "duration_ms",
        ]
        let behavior: Set = [
            "reachable", "translated", "mapping", "filtering", "allocation", "classic", "public", "local", "external",
            "pooling", "hairpin", "lifetime",
        ]
        for report in Self.reports {
            let object = try object(report)
            #expect(Set(object.keys) == members)
            for protocolName in ["udp", "tcp"] {
                let part = try #require(object[protocolName] as? [String: Any])
                #expect(Set(part.keys) == behavior)
            }
            #expect((object["direct"] as? [Any])?.count == NATPeer.allCases.count + 1)
        }
    }

    @Test func `the words are those of RFC 4787`() throws {
        let carrier = try object(.carrier)
        let udp = try #require(carrier["udp"] as? [String: Any])
        #expect(udp["mapping"] as? String == "endpoint-independent")
        #expect(udp["filtering"] as? String == "address-and-port-dependent")
        #expect(udp["classic"] as? String == "port-restricted-cone")
        #expect(udp["allocation"] as? [String: String] == ["kind": "preserving"])
        #expect(carrier["nats"] as? Int == 2 && carrier["carrier_nat"] as? Bool == true)
        #expect((carrier["lifetime"] as? [String: Any])?["keepalive_seconds"] as? Int == 36)
        let hops = try #require(carrier["hops"] as? [[String: Any]])
        #expect(hops.map { $0["kind"] as? String } == ["private", "carrier", nil])
        let doors = try #require(carrier["port_mapping"] as? [String: Any])
        #expect((doors["upnp"] as? [String: Any])?["available"] as? Bool == true)
        #expect(doors["usable"] as? Bool == false)

        let symmetric = try object(.symmetric)
        let sequential = (symmetric["udp"] as? [String: Any])?["allocation"] as? [String: Any]
        #expect(sequential?["kind"] as? String == "sequential" && sequential?["step"] as? Int == 2)
        #expect((try object(.opened)["port_mapping"] as? [String: Any])?["usable"] as? Bool == true)
        #expect(try object(.firewalled)["firewall"] as? Bool == true)
    }

    @Test(arguments: [NATReport.hotel, .silent])
    func `UDP is blocked also where nothing passes`(_ report: NATReport) throws {
        #expect(try object(report)["udp_blocked"] as? Bool == true)
    }

    @Test func `UDP is blocked only where it was seen to be, in both families`() throws {
        var sixth = NATReport.silent
        sixth.udpV6.reach = .certain(true)
        for report in [NATReport(), .carrier, .firewalled, sixth] {
            #expect(try object(report)["udp_blocked"] as? Bool == false)
        }
    }

    @Test func `what a portal says is quoted, and what is uncertain is named`() throws {
        let hotel = try object(.hotel)
        let portal = try #require(hotel["captive_portal"] as? [String: Any])
        #expect(portal["location"] as? String == "http://wifi.example/\u{1B}[2Jlogin")
        #expect(!NATDoctorJSON.line(.hotel).text.contains("\u{1B}"))
        let doubts = try #require(try object(.carrier)["uncertain"] as? [[String: Any]])
        #expect(doubts.map { $0["what"] as? String } == ["tcp.filtering"])
        #expect(doubts.map { $0["why"] as? String } == ["guessed-from-udp"])
    }

    @Test(arguments: [
        ("addressAndPortDependent", "address-and-port-dependent"), ("natPMP", "nat-pmp"), ("noUDP", "no-udp"),
        ("random", "random"), ("webOnly", "web-only"),
    ])
    func `names of the code become names of the field`(_ name: String, _ word: String) {
        #expect(Kebab.word(name) == word)
    }

    private func object(_ report: NATReport) throws -> [String: Any] {
        let text = NATDoctorJSON.line(report).text
        #expect(!text.contains("\n"))
        return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }
}
