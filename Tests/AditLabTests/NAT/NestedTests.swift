// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Boxes behind boxes, boxes for several sites, and IPv6.
@Suite struct NestedTests {
    /// Two homes behind one carrier, and a server outside.
    struct Carrier {
        let homes: [LabHost]
        let routers: [LabNAT]
        let carrier: LabNAT
        let server: LabHost

        init(_ lab: Lab, home: NATConfiguration, carrier configuration: NATConfiguration) {
            carrier = lab.nat("carrier", configuration)
            server = lab.host("server")
            let wan = lab.link(latency: .milliseconds(5))
            carrier.attach(to: wan, "198.51.100.2/24", side: .outside)
            server.attach(to: wan, "198.51.100.10/24", "198.51.100.11/24")
            let access = lab.link(latency: .milliseconds(2))
            carrier.attach(to: access, "100.64.0.1/16")
            var homes: [LabHost] = []
            var routers: [LabNAT] = []
            for number in 0...1 {
                let router = lab.nat("home \(number)", home)
                let host = lab.host("host \(number)")
                let lan = lab.link(latency: .microseconds(100))
                host.attach(to: lan, "192.168.1.2/24")
                router.attach(to: lan, "192.168.1.1/24")
                router.attach(
                    to: access,
                    InterfaceAddress(stringLiteral: "100.64.0.\(number + 2)/16"),
                    side: .outside
                )
                host.defaultRoute(via: endpoint("192.168.1.1:0").address)
                router.defaultRoute(via: endpoint("100.64.0.1:0").address)
                homes.append(host)
                routers.append(router)
            }
            self.homes = homes
            self.routers = routers
        }

        func seen(_ socket: LabUDPSocket, by local: String, _ lab: Lab) throws -> IPEndpoint? {
            let listening = try #require(server.openUDP(endpoint(local)))
            let seen = Box<IPEndpoint?>(nil)
            listening.onDatagram = { _, sender in seen.value = sender }
            socket.send([1], to: listening.local)
            try lab.run(for: .milliseconds(100))
            listening.close()
            return seen.value
        }
    }

    private func cone(_ filtering: FilteringBehavior) -> NATConfiguration {
        NATConfiguration(.endpointIndependent, filtering)
    }

    @Test func aChainMapsLikeItsWorstAndFiltersLikeItsStrictestBox() throws {
        let symmetric = NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random)
        let open = cone(.endpointIndependent)
        let cases: [(NATConfiguration, NATConfiguration, isIndependent: Bool, isOpen: Bool)] = [
            (open, open, true, true), (open, cone(.addressAndPortDependent), true, false),
            (cone(.addressAndPortDependent), open, true, false), (open, symmetric, false, false),
            (symmetric, open, false, false),
        ]
        for (home, carrier, isIndependent, isOpen) in cases {
            try Lab.play(seed: 1) { lab in
                let sites = Carrier(lab, home: home, carrier: carrier)
                let socket = try #require(sites.homes[0].openUDP(port: 5000))
                let first = try #require(try sites.seen(socket, by: "198.51.100.10:1", lab))
                let second = try #require(try sites.seen(socket, by: "198.51.100.11:2", lab))
                #expect((first == second) == isIndependent)
                let arrived = Box(false)
                socket.onDatagram = { _, _ in arrived.value = true }
                try #require(sites.server.openUDP(endpoint("198.51.100.11:99"))).send([1], to: first)
                try lab.run(for: .seconds(1))
                #expect(arrived.value == isOpen)
            }
        }
    }

    @Test func twoHomesOfOneCarrierMeetByItsHairpinOnly() throws {
        for hairpinning in [NATBehavior.Hairpinning.none, .externalSource] {
            try Lab.play(seed: 1) { lab in
                let open = cone(.endpointIndependent)
                let sites = Carrier(lab, home: open, carrier: open.with { $0.hairpinning = hairpinning })
                let sockets = sites.homes.compactMap { $0.openUDP() }
                let external = try #require(try sites.seen(sockets[0], by: "198.51.100.10:1", lab))
                let arrived = Box(false)
                sockets[0].onDatagram = { _, _ in arrived.value = true }
                sockets[1].send([1], to: external)
                try lab.run(for: .seconds(1))
                #expect(arrived.value == (hairpinning != .none))
            }
        }
    }

    @Test func theHopsToTheServerTellTheirAddresses() throws {
        try Lab.play(seed: 1) { lab in
            let sites = Carrier(lab, home: cone(.addressDependent), carrier: cone(.addressDependent))
            let socket = try #require(sites.homes[0].openUDP(port: 5000))
            let reporters = Box<[String]>([])
            socket.onRefusal = { reporters.value.append($0.reporter.map { "\($0)" } ?? "-") }
            for timeToLive: UInt8 in 1...3 {
                socket.send([1], to: endpoint("198.51.100.10:9"), timeToLive: timeToLive)
                try lab.run(for: .milliseconds(100))
            }
            #expect(reporters.value == ["192.168.1.1", "100.64.0.1", "198.51.100.10"])
        }
    }

    @Test func theHomeRoutersOwnSocketsReachThroughTheCarrier() throws {
        try Lab.play(seed: 1) { lab in
            let restricted = cone(.addressAndPortDependent)
            let sites = Carrier(lab, home: restricted, carrier: restricted)
            let own = try #require(sites.routers[0].openUDP(port: 40_000))
            let echo = try #require(sites.server.openUDP(endpoint("198.51.100.10:1")))
            echo.onDatagram = { [unowned echo] bytes, sender in echo.send(bytes, to: sender) }
            let answered = Box(false)
            own.onDatagram = { _, _ in answered.value = true }
            own.send([1], to: echo.local)
            try lab.run(for: .seconds(1))
            #expect(answered.value)
        }
    }

    @Test func overIPv6ABoxIsAFirewallThatAPinholeOpens() throws {
        try Lab.play(seed: 1) { lab in
            let box = lab.nat("box", cone(.endpointIndependent))
            let host = lab.host("host")
            let peer = lab.host("peer")
            let lan = lab.link()
            let wan = lab.link()
            host.attach(to: lan, "2001:db8:1::2/64")
            box.attach(to: lan, "2001:db8:1::1/64")
            box.attach(to: wan, "2001:db8:2::2/64", side: .outside)
            peer.attach(to: wan, "2001:db8:2::1/64")
            host.defaultRoute(via: endpoint("[2001:db8:1::1]:0").address)
            peer.defaultRoute(via: endpoint("[2001:db8:2::2]:0").address)
            let socket = try #require(host.openUDP(endpoint("[::]:5000")))
            let own = endpoint("[2001:db8:1::2]:5000")
            let arrived = Box(0)
            socket.onDatagram = { _, _ in arrived.value += 1 }
            let far = try #require(peer.openUDP(endpoint("[::]:6000")))
            far.send([1], to: own)
            try lab.run(for: .seconds(1))
            #expect(arrived.value == 0)
            #expect(lab.drops.last?.reason == .noMapping)
            socket.send([1], to: endpoint("[2001:db8:2::1]:6000"))
            far.send([1], to: own)
            try lab.run(for: .seconds(1))
            #expect(arrived.value == 1)
            #expect(box.addMapping(.udp, external: own, internal: own))
            try #require(peer.openUDP(endpoint("[::]:6001"))).send([1], to: own)
            try lab.run(for: .seconds(1))
            #expect(arrived.value == 2)
        }
    }
}
