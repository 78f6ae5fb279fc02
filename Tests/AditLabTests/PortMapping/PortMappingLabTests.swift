// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import AditWire
import Testing

@Suite struct PortMappingLabTests {
    @Test(arguments: PortMappingProtocol.allCases, [UInt64(1), 2, 3])
    func eachProtocolAloneOpensAPortThatWasTriedFromOutside(name: PortMappingProtocol, seed: UInt64) throws {
        try Lab.play(seed: LabSeed(seed)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([name]))
            let client = bench.client(.game)
            try lab.run(for: .seconds(8))
            let mapping = try #require(bench.told.mapped.first)
            #expect(mapping.protocol == name)
            #expect(mapping.external == endpoint("198.51.100.2:25565"))
            #expect(mapping.inside == endpoint("192.168.1.2:25565"))
            #expect(mapping.verification == .verified(by: endpoint("203.0.113.11:3479"), isAlternate: true))
            #expect(mapping.lifetime == .seconds(7200))
            #expect(bench.told.mapped.count == 1)
            #expect(try bench.arrives(at: 25565, inside: 25565))
            client.update { $0.withdraw(at: lab.now) }
            try lab.run(for: .seconds(4))
            #expect(bench.told.events.last == .withdrawn(unconfirmed: []))
            #expect(bench.mapper.entries.isEmpty)
            #expect(try !bench.arrives(at: 25565, inside: 25565))
        }
    }

    @Test func theBestOfThemIsUsedAndFastRoutersAreQuick() throws {
        try Lab.play(seed: LabSeed(1)) { lab in
            let bench = MapperBench(lab)
            _ = bench.client(.game)
            try lab.run(for: .seconds(1))
            #expect(bench.told.mapped.map(\.protocol) == [.pcp])
            let took = try #require(bench.told.times.last) - .zero
            #expect(took < .milliseconds(200))
        }
    }

    @Test(arguments: PortMappingProtocol.allCases)
    func aDayIsOneMappingRenewedAtHalfItsLife(name: PortMappingProtocol) throws {
        try Lab.play(seed: LabSeed(4)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([name]))
            let client = bench.client(.game, PortMappingWish(.tcp, internalPort: 25565))
            for hour in 1...24 {
                try lab.run(until: .zero + .seconds(3600 * hour))
                #expect(bench.mapper.entries.count == 2, "hour \(hour)")
                #expect(try bench.arrives(at: 25565, inside: 25565), "hour \(hour)")
            }
            #expect(bench.told.lost.isEmpty)
            #expect(bench.told.mapped.count == 2)
            #expect((46...50).contains(bench.told.renewals), "\(bench.told.renewals)")
            let tcp = bench.told.mapped.first { $0.wish.transport == .tcp }
            guard case .verified(let server, isAlternate: true)? = tcp?.verification else {
                Issue.record("TCP was not tried: \(String(describing: tcp))")
                return
            }
            #expect(server.address == endpoint("203.0.113.11:1").address)
            client.update { $0.withdraw(at: lab.now) }
            try lab.run(for: .seconds(4))
            #expect(bench.mapper.entries.isEmpty)
        }
    }

    @Test(arguments: PortMappingProtocol.allCases)
    func aRouterThatForgotIsAskedAgainWithinMinutes(name: PortMappingProtocol) throws {
        try Lab.play(seed: LabSeed(5)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([name]))
            _ = bench.client(.game)
            try lab.run(for: .seconds(1000))
            bench.mapper.reboot()
            try lab.run(for: .seconds(90))
            #expect(bench.told.lost == [.routerRestarted])
            #expect(bench.told.mapped.count == 2)
            #expect(bench.told.mapped.last?.external == endpoint("198.51.100.2:25565"))
            #expect(try bench.arrives(at: 25565, inside: 25565))
        }
    }

    @Test(arguments: PortMappingProtocol.allCases)
    func aPortOfAnotherIsReplacedByAFreeOne(name: PortMappingProtocol) throws {
        try Lab.play(seed: LabSeed(6)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([name], takenPorts: [25565]))
            _ = bench.client(.game)
            try lab.run(for: .seconds(8))
            let mapping = try #require(bench.told.mapped.first)
            #expect(mapping.external.port != 25565 && mapping.external.port != 0)
            #expect(mapping.isVerified)
            #expect(try bench.arrives(at: mapping.external.port, inside: 25565))
        }
    }

    @Test(arguments: PortMappingProtocol.allCases)
    func aPortThatMustBeThisOneIsRefusedWhenItIsTaken(name: PortMappingProtocol) throws {
        try Lab.play(seed: LabSeed(7)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([name], takenPorts: [443]))
            let wish = PortMappingWish(.tcp, internalPort: 8443, externalPort: 443, isExact: true)
            _ = bench.client(wish)
            try lab.run(for: .seconds(12))
            #expect(bench.told.mapped.isEmpty)
            #expect(bench.told.unavailable.first == .refused(wish, [PortMappingRefusal(name, .portTaken)]))
            #expect(bench.mapper.entries.isEmpty)
        }
    }

    @Test func anyPortOfVersionTwoIsTaken() throws {
        try Lab.play(seed: LabSeed(8)) { lab in
            let configuration = PortMapperConfiguration([.upnp], service: .ip2, takenPorts: [25565])
            let bench = MapperBench(lab, configuration)
            _ = bench.client(.game)
            try lab.run(for: .seconds(8))
            #expect(bench.told.mapped.first?.external.port == 25566)
        }
    }

    @Test(arguments: [PortMapperConfiguration.Fault.onlyPermanentLeases, .dislikesLeases])
    func aLeaseWithoutEndIsRememberedAndRemoved(fault: PortMapperConfiguration.Fault) throws {
        try Lab.play(seed: LabSeed(9)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.upnp], faults: [fault]))
            let client = bench.client(.game)
            try lab.run(for: .seconds(86_400))
            #expect(bench.told.mapped.count == 1)
            #expect(bench.told.mapped.first?.lifetime == nil)
            #expect(bench.mapper.entries.values.map(\.expiresAt) == [nil])
            client.update { $0.withdraw(at: lab.now) }
            try lab.run(for: .seconds(4))
            #expect(bench.told.events.last == .withdrawn(unconfirmed: []))
            #expect(bench.mapper.entries.isEmpty)
        }
    }

    @Test func whatARunLeftBehindIsTakenOver() throws {
        try Lab.play(seed: LabSeed(10)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.upnp], faults: [.onlyPermanentLeases]))
            let first = bench.client(.game)
            try lab.run(for: .seconds(10))
            first.stop()
            _ = bench.client(.game)
            try lab.run(for: .seconds(10))
            #expect(bench.told.mapped.map(\.external) == Array(repeating: endpoint("198.51.100.2:25565"), count: 2))
            #expect(bench.mapper.entries.count == 1)
        }
    }

    @Test func twoHostsThatWantTheSamePortGetTwo() throws {
        try Lab.play(seed: LabSeed(11)) { lab in
            let bench = MapperBench(lab)
            _ = bench.client(.game)
            try lab.run(for: .seconds(3))
            _ = bench.client(.game, on: bench.bench.second)
            try lab.run(for: .seconds(5))
            #expect(Set(bench.told.mapped.map(\.external.port)).count == 2)
            #expect(bench.told.mapped.allSatisfy { $0.isVerified })
        }
    }

    @Test func shortLeasesAreRenewedInTime() throws {
        try Lab.play(seed: LabSeed(12)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.natPMP], longestLease: 20))
            _ = bench.client(.game)
            try lab.run(for: .seconds(600))
            #expect(bench.told.lost.isEmpty)
            #expect(bench.told.renewals > 50)
            #expect(try bench.arrives(at: 25565, inside: 25565))
        }
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func lossyWirelessNetworksOnlyTakeLonger(seed: UInt64) throws {
        try Lab.play(seed: LabSeed(seed)) { lab in
            let bench = MapperBench(lab)
            lab.links.first?.configuration.loss = 0.2
            _ = bench.client(.game)
            try lab.run(for: .seconds(7200 * 3))
            #expect(bench.told.mapped.first?.external.port == 25565, "seed \(seed)")
            #expect(bench.told.lost.isEmpty, "seed \(seed)")
        }
    }

    @Test func anotherNetworkIsAskedAnew() throws {
        try Lab.play(seed: LabSeed(13)) { lab in
            let bench = MapperBench(lab)
            let client = bench.client(.game)
            try lab.run(for: .seconds(10))
            var network = bench.bench.inside.network
            network.gateway = nil
            client.update { $0.handle(.networkChanged(network), at: lab.now) }
            try lab.run(for: .seconds(1))
            #expect(bench.told.lost == [.networkChanged])
            #expect(bench.told.unavailable == [.noRouter])
            client.update { $0.handle(.networkChanged(bench.bench.inside.network), at: lab.now) }
            try lab.run(for: .seconds(5))
            #expect(bench.told.mapped.count == 2)
        }
    }

    @Test func anAddressThatChangesOutsideIsTold() throws {
        try Lab.play(seed: LabSeed(14)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.natPMP]))
            _ = bench.client(.game)
            try lab.run(for: .seconds(10))
            bench.mapper.nat.renumber("198.51.100.9/24")
            try lab.run(for: .seconds(120))
            #expect(bench.told.mapped.last?.external == endpoint("198.51.100.9:25565"))
            #expect(bench.told.mapped.last?.isVerified == true)
        }
    }
}
