// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import AditWire
import Testing

/// Routers that answer badly, and others who answer in their place.
@Suite struct HostileRouterTests {
    private func play(
        _ configuration: PortMapperConfiguration,
        for duration: Duration = .seconds(60),
        wish: PortMappingWish = .game
    ) throws -> Told {
        try Lab.play(seed: LabSeed(21)) { lab in
            let bench = MapperBench(lab, configuration)
            _ = bench.client(wish)
            try lab.run(for: duration)
            return bench.told
        }
    }

    @Test func silenceIsToldWithinSeconds() throws {
        let told = try play(PortMapperConfiguration([]))
        #expect(told.unavailable.first == .noAnswer(router: endpoint("192.168.1.1:1").address))
        let took = try #require(told.times.first) - .zero
        #expect(took < .seconds(6))
    }

    @Test(arguments: PortMappingProtocol.allCases)
    func aRefusalIsTold(name: PortMappingProtocol) throws {
        let told = try play(PortMapperConfiguration([name], faults: [.refusesAll]))
        #expect(told.unavailable.first == .refused(.game, [PortMappingRefusal(name, .notAuthorized)]))
        #expect(told.mapped.isEmpty)
    }

    @Test func whatOneProtocolRefusesIsAskedOfTheNext() throws {
        try Lab.play(seed: LabSeed(22)) { lab in
            let bench = MapperBench(lab)
            bench.mapper.configuration.faults = [.wrongNonce]
            _ = bench.client(.game)
            try lab.run(for: .seconds(20))
            #expect(bench.told.mapped.map(\.protocol) == [.natPMP])
        }
    }

    @Test(arguments: [PortMappingProtocol.pcp, .natPMP])
    func aLifetimeOfZeroIsNoPort(name: PortMappingProtocol) throws {
        let told = try play(PortMapperConfiguration([name], faults: [.grantsNothing]))
        #expect(told.mapped.isEmpty)
        #expect(told.unavailable.first == .refused(.game, [PortMappingRefusal(name, .malformed)]))
    }

    @Test(arguments: [PortMappingProtocol.pcp, .natPMP])
    func aLifetimeOfAgesIsCut(name: PortMappingProtocol) throws {
        let told = try play(PortMapperConfiguration([name], faults: [.grantsForever]))
        #expect(told.mapped.first?.lifetime == .seconds(86_400))
    }

    @Test func aPortThatLetsNothingInIsNotCalledVerified() throws {
        for name in PortMappingProtocol.allCases {
            let told = try play(PortMapperConfiguration([name], faults: [.opensNothing]))
            #expect(told.mapped.first?.verification == .failed(by: endpoint("203.0.113.10:3478")))
            #expect(told.mapped.first?.isVerified == false)
        }
    }

    @Test func aRouterThatRenewsNothingIsAskedAnew() throws {
        let configuration = PortMapperConfiguration([.natPMP], faults: [.renewsNothing], longestLease: 60)
        let told = try play(configuration, for: .seconds(600))
        #expect(told.mapped.count > 2)
        #expect(told.lost.allSatisfy { $0 == .takenAway || $0 == .expired })
    }

    @Test func aPortThatIsNotGivenBackIsTold() throws {
        for name in PortMappingProtocol.allCases {
            try Lab.play(seed: LabSeed(23)) { lab in
                let bench = MapperBench(lab, PortMapperConfiguration([name]))
                let client = bench.client(.game)
                try lab.run(for: .seconds(10))
                bench.mapper.configuration.faults = [.keepsPorts]
                client.update { $0.withdraw(at: lab.now) }
                try lab.run(for: .seconds(5))
                guard case .withdrawn(let left)? = bench.told.events.last else {
                    Issue.record("no end")
                    return
                }
                #expect(left.map(\.protocol) == [name])
            }
        }
    }

    @Test(arguments: [
        PortMapperConfiguration.Fault.hugeDescription, .billionLaughs, .redirects, .pointsElsewhere, .silentService,
        .garbage,
    ])
    func aBadDescriptionIsNoRouter(fault: PortMapperConfiguration.Fault) throws {
        try Lab.play(seed: LabSeed(24)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.upnp], faults: [fault]))
            // Whoever sends requests there in this machine's name would be seen.
            let victim = lab.host("victim")
            victim.attach(to: lab.links[2], "203.0.113.66/24")
            var isReached = false
            victim.serve(port: 80) { _ in
                isReached = true
                return .silence
            }
            _ = bench.client(.game)
            try lab.run(for: .seconds(25))
            #expect(bench.told.mapped.isEmpty)
            #expect(bench.told.unavailable == [.noAnswer(router: endpoint("192.168.1.1:1").address)])
            #expect(!isReached)
        }
    }

    @Test func aRouterWithoutANetworkOutsideIsTold() throws {
        let told = try play(PortMapperConfiguration([.upnp], faults: [.disconnected]))
        #expect(told.unavailable.first == .refused(.game, [PortMappingRefusal(.upnp, .notConnected)]))
    }

    @Test(arguments: [
        ("10.0.0.7", PortMappingDoubleNAT.Evidence.privateAddress), ("100.64.0.9", .carrierAddress),
        ("198.51.100.77", .otherAddress),
    ])
    func anotherNATInFrontIsRecognised(address: String, evidence: PortMappingDoubleNAT.Evidence) throws {
        for name in PortMappingProtocol.allCases {
            var configuration = PortMapperConfiguration([name], faults: [.opensNothing])
            configuration.claimedAddress = endpoint("\(address):1").address
            let told = try play(configuration)
            let double = try #require(told.mapped.first?.doubleNAT)
            #expect(double.evidence == evidence)
            #expect(double.seen == endpoint("198.51.100.2:1").address)
            #expect(told.events.contains(.doubleNAT(double)))
        }
    }

    @Test func slowRoutersAreWaitedFor() throws {
        for name in PortMappingProtocol.allCases {
            let told = try play(PortMapperConfiguration([name], delay: .milliseconds(1500)))
            #expect(told.mapped.first?.isVerified == true, "\(name)")
        }
    }

    @Test func aPortInUseIsMappedAndNotCalledVerified() throws {
        try Lab.play(seed: LabSeed(25)) { lab in
            let bench = MapperBench(lab)
            let game = bench.bench.inside.openUDP(port: 25565)
            #expect(game != nil)
            _ = bench.client(.game)
            try lab.run(for: .seconds(8))
            #expect(bench.told.mapped.first?.verification == .notChecked(.portInUse))
        }
    }

    @Test func aServerThatIsSilentOrUnableLeavesItOpenWhetherPacketsArrive() throws {
        try Lab.play(seed: LabSeed(26)) { lab in
            let bench = MapperBench(lab)
            _ = bench.client(.game, isVerifying: false)
            try lab.run(for: .seconds(8))
            #expect(bench.told.mapped.first?.verification == .notChecked(.noServer))
            for node in lab.nodes where node.name == "server" { node.answersClosedPorts = false }
            lab.links[2].configuration.loss = 1
            _ = bench.client(.game)
            try lab.run(for: .seconds(20))
            #expect(bench.told.mapped.last?.verification == .notChecked(.serverSilent))
        }
    }

    /// A neighbour answers everything, before the router and with other words.
    @Test func othersAnswersAreNotBelieved() throws {
        try Lab.play(seed: LabSeed(27)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.natPMP], delay: .milliseconds(50)))
            let neighbour = bench.bench.second
            let liar = try #require(neighbour.openUDP(port: 5351))
            let search = try #require(neighbour.openUDP(port: 1900))
            search.onDatagram = { _, sender in
                for port in 1...40 {
                    var reply: [UInt8] = []
                    let fields = [
                        SSDPMessage.Field("ST", "urn:schemas-upnp-org:device:InternetGatewayDevice:1"),
                        SSDPMessage.Field("LOCATION", "http://192.168.1.9:\(port)/x"),
                    ]
                    SSDPMessage(.response, fields: fields).encode(into: &reply)
                    search.send(reply, to: sender)
                }
            }
            let client = bench.client(.game)
            for port in bench.bench.inside.ephemeralPorts {
                var forged: [UInt8] = []
                NATPMPResponse(epoch: 1, body: .externalAddress(.v4(0x0102_0304))).encode(into: &forged)
                if port.isMultiple(of: 64) {
                    liar.send(forged, to: IPEndpoint(endpoint("192.168.1.2:1").address, port))
                }
            }
            try lab.run(for: .seconds(12))
            #expect(bench.told.mapped.first?.external == endpoint("198.51.100.2:25565"))
            #expect(client.isRunning)
        }
    }

    @Test func randomBytesFromTheRouterChangeNothing() throws {
        try Lab.play(seed: LabSeed(28)) { lab in
            let bench = MapperBench(lab, PortMapperConfiguration([.upnp]))
            var random = lab.generator(for: 5)
            let noise = try #require(bench.bench.box.openUDP(port: 5351))
            noise.onDatagram = { _, sender in
                for _ in 0..<50 {
                    let count = Int(random.next() % 80)
                    var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                    if count > 1, random.next().isMultiple(of: 2) {
                        bytes[0] = UInt8(random.next() % 3)
                        bytes[1] |= 128
                    }
                    noise.send(bytes, to: sender)
                }
            }
            _ = bench.client(.game)
            try lab.run(for: .seconds(60))
            #expect(bench.told.mapped.first?.protocol == .upnp)
        }
    }
}
