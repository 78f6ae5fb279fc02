// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("What stands on the way is named right")
struct DiscoveryPathTests {
    private static let lossy: Surroundings.Weather = {
        var weather = Surroundings.Weather()
        weather.loss = 0.05
        weather.jitter = .milliseconds(2)
        return weather
    }()

    private static let cone = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
    private static let fullCone = NATConfiguration(.endpointIndependent, .endpointIndependent)
    private static let symmetric = NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random)

    @Test("a public address without a filter is open", arguments: UInt64(1)...6)
    func open(_ seed: UInt64) throws {
        let report = try discover([], seed: seed, Self.lossy)
        #expect(report.udp.kind == .certain(.open))
        #expect(report.tcp.kind == .certain(.open))
        #expect(report.udp.isTranslated == .certain(false))
        #expect(report.natCount == .certain(0))
        #expect(report.isCarrierGrade == .certain(false))
        #expect(report.access == .certain(.full))
    }

    @Test("a firewall without NAT is no cone", arguments: FilteringBehavior.allCases)
    func firewall(_ filtering: FilteringBehavior) throws {
        for seed in UInt64(1)...4 {
            let report = try discover([.firewall(filtering)], seed: seed, Self.lossy)
            let kind: NATKind = filtering == .endpointIndependent ? .open : .firewall
            #expect(report.udp.kind == .certain(kind), "seed \(seed)")
            #expect(report.tcp.kind == .certain(kind), "seed \(seed)")
            #expect(report.udp.filtering == .certain(filtering), "seed \(seed)")
            #expect(report.udp.mapping == .unknown(.notApplicable))
            #expect(report.natCount == .certain(0))
        }
    }

    @Test("two NATs one behind the other act as the stricter, and are counted", arguments: UInt64(1)...6)
    func nested(_ seed: UInt64) throws {
        let report = try discover([Self.fullCone, Self.cone], seed: seed, Self.lossy)
        #expect(report.udp.kind == .certain(.portRestrictedCone))
        #expect(report.tcp.kind == .certain(.portRestrictedCone))
        #expect(report.natCount == .certain(2))
        #expect(report.isCarrierGrade == .certain(true))
        #expect(report.hops.first?.address == address("192.168.1.1"))
        #expect(report.hops.map(\.kind).contains(.carrier))
        #expect(report.hops.last?.kind == .public)
    }

    @Test("a symmetric carrier NAT behind a home cone is symmetric", arguments: UInt64(1)...6)
    func symmetricCarrier(_ seed: UInt64) throws {
        let report = try discover([Self.cone, Self.symmetric], seed: seed, Self.lossy)
        #expect(report.udp.kind == .certain(.symmetric))
        #expect(report.tcp.kind == .certain(.symmetric))
        #expect(report.udp.allocation == .certain(.random))
        #expect(report.natCount.value == 2)
        #expect(report.isCarrierGrade.value == true)
        #expect(report.hops.map(\.kind).prefix(2) == [.private, .carrier])
    }

    @Test("where routers are silent, the trace of short-lived packets still finds the outermost filter")
    func silentRouters() throws {
        for seed in UInt64(1)...6 {
            var home = Self.cone
            home.passesICMP = false
            var carrier = Self.cone
            carrier.passesICMP = false
            let report = try discover([home, carrier], seed: seed, Self.lossy)
            #expect(report.natCount.value == 2, "seed \(seed)")
            #expect(!report.natCount.isCertain || report.hops.count > 1, "seed \(seed)")
        }
        var home = Self.cone
        home.passesICMP = false
        let report = try discover([home], seed: 9)
        #expect(report.natCount == .likely(1, .silentRouters))
        #expect(report.isCarrierGrade == .likely(false, .silentRouters))
    }

    @Test("a carrier NAT that lets everybody in shows by its addresses", arguments: UInt64(1)...4)
    func openCarrier(_ seed: UInt64) throws {
        let report = try discover([Self.cone, Self.fullCone], seed: seed, Self.lossy)
        #expect(report.udp.kind == .certain(.portRestrictedCone))
        #expect(report.natCount == .likely(2, .readFromAddresses))
        #expect(report.isCarrierGrade == .likely(true, .readFromAddresses))
        let alone = try discover([Self.cone], seed: seed, Self.lossy)
        #expect(alone.natCount == .certain(1))
        #expect(alone.isCarrierGrade == .certain(false))
    }

    @Test("the router's own answer tells a carrier NAT that the way does not show")
    func routerAddress() throws {
        let report = try discover([Self.symmetric], seed: 1)
        #expect(report.natCount.value == 1)
        let behind = report.with(portMappings: [
            NATPortMappingAnswer(.upnp, isAvailable: true, externalAddress: address("100.72.3.4"))
        ])
        #expect(behind.natCount == .certain(2))
        #expect(behind.isCarrierGrade == .certain(true))
        let alone = report.with(portMappings: [
            NATPortMappingAnswer(.natPMP, isAvailable: true, externalAddress: address("198.51.100.2"))
        ])
        #expect(alone.natCount == .certain(1))
        #expect(alone.isCarrierGrade == .certain(false))
    }

    @Test("UDP that is blocked is told from a server that is silent")
    func udpBlocked() throws {
        for seed in UInt64(1)...6 {
            let box = NATConfiguration(udp: .blocked, tcp: NATBehavior(.endpointIndependent, .addressAndPortDependent))
            let report = try discover([box], seed: seed, Self.lossy)
            #expect(report.access == .certain(.udpBlocked), "seed \(seed)")
            #expect(report.udp.reach.value == false)
            #expect(report.udp.kind.value == .blocked)
            #expect(report.tcp.kind == .certain(.portRestrictedCone), "seed \(seed)")
            #expect(report.tcp.allocation == .certain(.preserving))
            #expect(report.duration < .seconds(5))
        }
    }

    @Test("TCP and UDP are told apart")
    func transports() throws {
        for seed in UInt64(1)...4 {
            let box = NATConfiguration(udp: Self.fullCone.udp, tcp: Self.symmetric.tcp)
            let report = try discover([box], seed: seed, Self.lossy)
            #expect(report.udp.kind == .certain(.fullCone), "seed \(seed)")
            #expect(report.tcp.kind == .certain(.symmetric), "seed \(seed)")
            let other = NATConfiguration(udp: Self.symmetric.udp, tcp: Self.fullCone.tcp)
            let reverse = try discover([other], seed: seed, Self.lossy)
            #expect(reverse.udp.kind == .certain(.symmetric), "seed \(seed)")
            #expect(reverse.tcp.kind == .certain(.fullCone), "seed \(seed)")
        }
    }

    @Test("hairpin is found where it is, whatever the filter", arguments: FilteringBehavior.allCases)
    func hairpin(_ filtering: FilteringBehavior) throws {
        for seed in UInt64(1)...4 {
            let plain = NATConfiguration(.endpointIndependent, filtering, .random)
            let without = try discover([plain], seed: seed, Self.lossy)
            #expect(without.udp.hairpin == .certain(false), "seed \(seed)")
            let turning = plain.with { $0.hairpinning = .externalSource }
            let with = try discover([turning], seed: seed, Self.lossy)
            #expect(with.udp.hairpin == .certain(true), "seed \(seed)")
        }
    }

    @Test("several external addresses are arbitrary pooling", arguments: UInt64(1)...4)
    func pooling(_ seed: UInt64) throws {
        var weather = Self.lossy
        weather.poolSize = 4
        let box = Self.symmetric.with { $0.pooling = .arbitrary }
        let report = try discover([box], seed: seed, weather)
        #expect(report.udp.pooling == .certain(.arbitrary))
        #expect(report.tcp.pooling == .certain(.arbitrary))
        #expect(report.udp.kind == .certain(.symmetric))
        #expect(report.udp.externalAddresses.count > 1)
        let paired = try discover([Self.symmetric], seed: seed, weather)
        #expect(paired.udp.pooling == .certain(.paired))
    }

    @Test("IPv6 behind a firewall is found, and what it lets in", arguments: FilteringBehavior.allCases)
    func ipv6(_ filtering: FilteringBehavior) throws {
        for seed in UInt64(1)...4 {
            try Lab.play(seed: seed) { lab in
                var weather = Self.lossy
                weather.hasIPv6 = true
                var box = Self.cone
                box.ipv6 = .firewall(filtering)
                let surroundings = Surroundings(lab, [box], weather)
                surroundings.runServer()
                surroundings.runServerV6()
                let v6 = NATDiscovery.Configuration.Server(
                    name: "server",
                    endpoint: IPEndpoint(Surroundings.serverV6, 3478)
                )
                let report = try surroundings.discover(surroundings.configuration([Surroundings.servers[0], v6]))
                #expect(report.udpV6.reach == .certain(true), "seed \(seed)")
                #expect(report.udpV6.isTranslated == .certain(false))
                #expect(report.udpV6.filtering == .certain(filtering), "seed \(seed)")
                #expect(report.udpV6.kind == .certain(filtering == .endpointIndependent ? .open : .firewall))
                #expect(report.addressesV6 == [address("2001:db8:1::2")])
                #expect(report.udp.kind == .certain(.portRestrictedCone), "seed \(seed)")
                #expect(report.duration < .seconds(5))
            }
        }
    }

    @Test("without an IPv6 address there is no IPv6")
    func noIPv6() throws {
        let report = try discover([Self.cone], seed: 1)
        #expect(report.udpV6.reach == .certain(false))
        #expect(report.addressesV6.isEmpty)
    }
}
