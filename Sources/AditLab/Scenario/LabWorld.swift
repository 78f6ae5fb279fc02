// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

/// A scenario built: two sites, a server with two addresses, and the internet between them.
///
/// ```
///              203.0.113.10, .11  server
///                         |
///       198.51.100.1 ── internet ── 192.0.2.1
///            |                         |
///       carrier NAT               carrier NAT        where a site has one: 100.64.0.0/10 behind it
///            |                         |
///       home router               home router        198.51.100.2 and 192.0.2.2 without a carrier
///            |                         |
///     192.168.1.2, .3           192.168.2.2, .3      198.51.100.130 … where nothing is translated
/// ```
package struct LabWorld {
    /// The lab.
    package let lab: Lab
    /// The server.
    package let server: LabHost
    /// The routers of the internet.
    package let internet: LabRouter
    /// The host of each site that looks for a path.
    package private(set) var hosts: [SiteName: LabHost] = [:]
    /// Another host in each home.
    package private(set) var neighbours: [SiteName: LabHost] = [:]
    /// The boxes of each site, from the inside to the outside.
    package private(set) var boxes: [SiteName: [LabNAT]] = [:]

    /// The server's first address.
    package static let serverAddress = IPAddress.v4(0xCB00_710A)
    /// The server's second address.
    package static let serverAlternateAddress = IPAddress.v4(0xCB00_710B)

    private let scenario: LabScenario

    /// Builds a scenario in an empty lab.
    package init(_ scenario: LabScenario, in lab: Lab) {
        self.lab = lab
        self.scenario = scenario
        server = lab.host("S")
        internet = lab.router("internet")
        let line = lab.link(Self.leg(scenario), name: "server line")
        server.attach(to: line, "203.0.113.10/24", "203.0.113.11/24")
        internet.attach(to: line, "203.0.113.1/24")
        server.defaultRoute(via: .v4(0xCB00_7101))
        switch scenario.neighbourhood {
        case .apart:
            addSite(.a, scenario.a, Plan(.a), upstream: nil)
            addSite(.b, scenario.b, Plan(.b, isOverlapping: scenario.hasOverlappingNetworks), upstream: nil)
        case .sameRouter:
            addSite(.a, scenario.a, Plan(.a), upstream: nil)
            hosts[.b] = neighbours[.a]
            neighbours[.b] = hosts[.a]
            boxes[.b] = boxes[.a]
        case .sameCarrier:
            let shared = addCarrier(scenario.sharedCarrier, Plan(.a), mtu: scenario.a.mtu)
            addSite(.a, scenario.a, Plan(.a), upstream: shared)
            addSite(.b, scenario.b, Plan(.b, isOverlapping: scenario.hasOverlappingNetworks), upstream: shared)
        }
    }

    /// The addresses of a site.
    private struct Plan {
        let name: SiteName
        let homeNumber: UInt32
        /// The network of its public addresses, /24.
        let network: UInt32

        init(_ name: SiteName, isOverlapping: Bool = false) {
            self.name = name
            network = name == .a ? 0xC633_6400 : 0xC000_0200
            homeNumber = name == .a || isOverlapping ? 1 : 2
        }

        /// Its number in the carrier's network.
        var carrierNumber: UInt32 { 0x6440_000A + (name == .a ? 0 : 1) }
        /// A network of 128 addresses of the one that is upstream, for hosts whose router does not translate.
        func untranslated(behindCarrier: Bool) -> UInt32 {
            behindCarrier ? 0x6440_0A80 + (name == .a ? 0 : 0x100) : network + 128
        }
    }

    /// A carrier's NAT and the network behind it.
    private struct Upstream {
        let carrier: LabNAT
        let network: LabLink
    }

    /// One of the three lines that meet in the internet: half of the way between any two places.
    private static func leg(_ scenario: LabScenario, mtu: Int = 1500) -> LinkConfiguration {
        LinkConfiguration(
            latency: scenario.latency / 2,
            jitter: scenario.jitter / 2,
            loss: 1 - (1 - min(max(scenario.loss, 0), 1)).squareRoot(),
            mtu: mtu
        )
    }

    /// The outside of a box on a line of the internet.
    private func attach(_ box: LabNAT, _ specification: BoxSpecification, _ plan: Plan, mtu: Int) {
        let line = lab.link(Self.leg(scenario, mtu: mtu), name: "line \(plan.name.rawValue)")
        var addresses = [InterfaceAddress(.v4(plan.network + 2), prefixLength: 24)]
        for number in 1..<max(1, specification.poolSize) {
            addresses.append(InterfaceAddress(.v4(plan.network + 20 + UInt32(number)), prefixLength: 24))
        }
        box.attach(to: line, addresses, side: .outside)
        internet.attach(to: line, InterfaceAddress(.v4(plan.network + 1), prefixLength: 24))
        box.defaultRoute(via: .v4(plan.network + 1))
    }

    private func addCarrier(_ specification: BoxSpecification, _ plan: Plan, mtu: Int) -> Upstream {
        let name = scenario.neighbourhood == .sameCarrier ? "carrier NAT" : "carrier NAT \(plan.name.rawValue)"
        let carrier = lab.nat(name, NATConfiguration(specification, foreignFlows: scenario.foreignFlows))
        attach(carrier, specification, plan, mtu: mtu)
        let network = lab.link(latency: .microseconds(50), name: "carrier network \(plan.name.rawValue)")
        carrier.attach(to: network, "100.64.0.1/16", side: .inside)
        if !specification.translates {
            internet.route(
                InterfaceAddress(.v4(0x6440_0000), prefixLength: 16),
                via: .v4(plan.network + 2)
            )
        }
        return Upstream(carrier: carrier, network: network)
    }

    private mutating func addSite(_ name: SiteName, _ site: SiteSpecification, _ plan: Plan, upstream: Upstream?) {
        let upstream = upstream ?? site.carrier.map { addCarrier($0, plan, mtu: site.mtu) }
        let flows = upstream == nil ? scenario.foreignFlows : 0
        let router = lab.nat("router \(name.rawValue)", NATConfiguration(site.router, foreignFlows: flows))
        if let upstream {
            let own = IPAddress.v4(plan.carrierNumber)
            router.attach(to: upstream.network, InterfaceAddress(own, prefixLength: 16), side: .outside)
            router.defaultRoute(via: .v4(0x6440_0001))
        } else {
            attach(router, site.router, plan, mtu: site.mtu)
        }
        let home = lab.link(latency: .microseconds(20), name: "home \(name.rawValue)")
        let isTranslated = site.router.translates
        let base =
            (isTranslated ? 0xC0A8_0000 + plan.homeNumber << 8 : plan.untranslated(behindCarrier: upstream != nil)) + 1
        let prefixLength = isTranslated ? 24 : 25
        router.attach(to: home, InterfaceAddress(.v4(base), prefixLength: prefixLength), side: .inside)
        if !isTranslated {
            let network = InterfaceAddress(.v4(base - 1), prefixLength: 25)
            if let upstream {
                upstream.carrier.route(network, via: .v4(plan.carrierNumber))
            } else {
                internet.route(network, via: .v4(plan.network + 2))
            }
        }
        for number in [UInt32(1), 2] {
            let host = lab.host(number == 1 ? name.rawValue : name.rawValue + "2")
            host.attach(to: home, InterfaceAddress(.v4(base + number), prefixLength: prefixLength))
            host.defaultRoute(via: .v4(base))
            if number == 1 { hosts[name] = host } else { neighbours[name] = host }
        }
        boxes[name] = [router] + (upstream.map { [$0.carrier] } ?? [])
    }

    /// The site to which a node belongs alone; nil for what both sites share, and for the rest of the internet.
    package func site(of node: Int) -> SiteName? {
        let owners = SiteName.allCases.filter { name in
            hosts[name]?.index == node || boxes[name]?.contains { $0.index == node } == true
        }
        return owners.count == 1 ? owners.first : nil
    }
}
