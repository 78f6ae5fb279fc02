// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// What else a box does: hairpinning, pools, limits, rules, installed mappings, restarts.
@Suite struct BoxTests {
    private static let cone = NATConfiguration(.endpointIndependent, .endpointIndependent)

    @Test(arguments: [NATBehavior.Hairpinning.none, .externalSource, .internalSource])
    func hairpinningShowsTheConfiguredSource(_ hairpinning: NATBehavior.Hairpinning) throws {
        try Lab.play(seed: 1) { lab in
            let bench = Bench(lab, Self.cone.with { $0.hairpinning = hairpinning })
            let first = try #require(bench.inside.openUDP(port: 1111))
            let second = try #require(bench.second.openUDP(port: 2222))
            let external = try #require(try bench.mapped(first)[0])
            let sender = Box<IPEndpoint?>(nil)
            first.onDatagram = { _, from in sender.value = from }
            second.send([1], to: external)
            try lab.run(for: .seconds(1))
            switch hairpinning {
            case .none:
                #expect(sender.value == nil)
                #expect(lab.drops.last?.reason == .hairpin)
            case .externalSource: #expect(sender.value == endpoint("198.51.100.2:2222"))
            case .internalSource: #expect(sender.value == endpoint("192.168.1.3:2222"))
            }
        }
    }

    @Test func aFilteredHairpinAsksForAnEarlierPacket() throws {
        try Lab.play(seed: 1) { lab in
            let configuration = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
            let bench = Bench(
                lab,
                configuration.with {
                    $0.hairpinning = .externalSource
                    $0.filtersHairpin = true
                }
            )
            let first = try #require(bench.inside.openUDP(port: 1111))
            let second = try #require(bench.second.openUDP(port: 2222))
            _ = try bench.mapped(first)
            let count = Box(0)
            first.onDatagram = { _, _ in count.value += 1 }
            second.send([1], to: endpoint("198.51.100.2:1111"))
            try lab.run(for: .seconds(1))
            #expect(count.value == 0)
            first.send([1], to: endpoint("198.51.100.2:2222"))
            second.send([1], to: endpoint("198.51.100.2:1111"))
            try lab.run(for: .seconds(1))
            #expect(count.value == 1)
        }
    }

    @Test func aPairedPoolGivesAHostOneAddressAndAnArbitraryOneSeveral() throws {
        for pooling in [NATBehavior.Pooling.paired, .arbitrary] {
            try Lab.play(seed: 2) { lab in
                let bench = Bench(lab, Self.cone.with { $0.pooling = pooling }, pool: 4)
                var addresses: Set<IPAddress> = []
                for _ in 0..<20 {
                    let socket = try #require(bench.inside.openUDP())
                    for external in try bench.mapped(socket) { addresses.insert(try #require(external).address) }
                }
                #expect(pooling == .paired ? addresses.count == 1 : addresses.count > 1)
            }
        }
    }

    @Test func aFullTableTakesNoFurtherFlowUntilOneEnds() throws {
        try Lab.play(seed: 2) { lab in
            let bench = Bench(lab, Self.cone.with { $0.capacity = 64 })
            let server = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
            let arrived = Box(0)
            server.onDatagram = { _, _ in arrived.value += 1 }
            let sockets = (0..<100).compactMap { _ in bench.inside.openUDP() }
            for socket in sockets { socket.send([1], to: server.local) }
            try lab.run(for: .seconds(1))
            #expect(arrived.value == 64)
            #expect(lab.drops.count { $0.reason == .tableFull } == 36)
            try lab.run(for: .seconds(130))
            for socket in sockets.suffix(36) { socket.send([1], to: server.local) }
            try lab.run(for: .seconds(1))
            #expect(arrived.value == 100)
        }
    }

    @Test func whatIsNotAskedForIsDroppedRefusedOrTakenByTheRouter() throws {
        for unsolicited in [NATBehavior.Unsolicited.drop, .reset, .accept] {
            try Lab.play(seed: 2) { lab in
                let configuration = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
                let bench = Bench(lab, configuration.with { $0.unsolicited = unsolicited })
                let socket = try #require(bench.server.openUDP(bench.serverEndpoints[2]))
                let refusal = Box<SocketRefusal?>(nil)
                socket.onRefusal = { refusal.value = $0 }
                let target = endpoint("198.51.100.2:1111")
                socket.send([1], to: target)
                let end = Box<LabTCPEvent?>(nil)
                try bench.server.connect(to: target).get().onEvent = { end.value = $0 }
                try lab.run(for: .seconds(1))
                #expect((refusal.value?.kind == .portUnreachable) == (unsolicited != .drop))
                #expect((end.value == .ended(.refused)) == (unsolicited != .drop))
                // The datagram has taken the pair, so that the answer comes from another port.
                let inner = try #require(bench.inside.openUDP(port: 1111))
                let sender = Box<IPEndpoint?>(nil)
                socket.onDatagram = { _, from in sender.value = from }
                inner.send([2], to: socket.local)
                try lab.run(for: .seconds(1))
                #expect((sender.value == target) == (unsolicited != .accept))
            }
        }
    }

    @Test func anOverloadedPortIsKeptUntilTwoHostsMeetAtOneDestination() throws {
        try Lab.play(seed: 2) { lab in
            let linux = NATConfiguration(.addressAndPortDependent, .addressAndPortDependent)
            let bench = Bench(lab, linux.with { $0.overloadsPorts = true })
            let first = try #require(bench.inside.openUDP(port: 41_641))
            let second = try #require(bench.second.openUDP(port: 41_641))
            let sinks = bench.serverEndpoints.compactMap { bench.server.openUDP($0) }
            let ports = Box<[UInt16]>([])
            for sink in sinks { sink.onDatagram = { _, sender in ports.value.append(sender.port) } }
            first.send([1], to: sinks[3].local)
            for sink in sinks[1...] { second.send([1], to: sink.local) }
            try lab.run(for: .seconds(1))
            #expect(ports.value.count { $0 == 41_641 } == 3)
            #expect(Set(ports.value).count == 2)
        }
    }

    @Test func otherUsersMoveASequenceOn() throws {
        try Lab.play(seed: 2) { lab in
            let symmetric = NATConfiguration(
                .addressAndPortDependent,
                .addressAndPortDependent,
                .sequential(step: 1)
            )
            let bench = Bench(lab, symmetric.with { $0.foreignFlowsPerSecond = 100 })
            let socket = try #require(bench.inside.openUDP())
            let sink = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
            let ports = Box<[UInt16]>([])
            sink.onDatagram = { _, sender in ports.value.append(sender.port) }
            for _ in 0..<20 {
                let fresh = try #require(bench.inside.openUDP())
                fresh.send([1], to: sink.local)
                try lab.run(for: .seconds(1))
            }
            _ = socket
            let steps = zip(ports.value, ports.value.dropFirst()).map { Int($1 &- $0) }
            let mean = Double(steps.reduce(0, +)) / Double(steps.count)
            #expect((90...110).contains(mean), "\(steps)")
        }
    }

    @Test func rulesBlockProtocolsAndPorts() throws {
        try Lab.play(seed: 2) { lab in
            var configuration = Self.cone
            configuration.udp = .blocked
            configuration.tcp.allowedPorts = [80, 443]
            let bench = Bench(lab, configuration)
            let socket = try #require(bench.inside.openUDP())
            #expect(try bench.mapped(socket).allSatisfy { $0 == nil })
            let ends = Box<[LabTCPEvent]>([])
            for port: UInt16 in [80, 443, 3478] {
                let listener = try #require(bench.server.listen(port: port))
                listener.onAccept = { _ in }
                let remote = IPEndpoint(bench.serverEndpoints[0].address, port)
                try bench.inside.connect(to: remote).get().onEvent = { ends.value.append($0) }
            }
            try lab.run(for: .seconds(1))
            #expect(ends.value == [.connected, .connected])
            #expect(lab.drops.contains { $0.reason == .blocked })
        }
    }

    @Test func anInstalledMappingLetsEverybodyInAndCarriesTheAnswers() throws {
        try Lab.play(seed: 2) { lab in
            let bench = Bench(lab, NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random))
            let socket = try #require(bench.inside.openUDP(port: 7))
            let external = endpoint("198.51.100.2:700")
            #expect(
                bench.box.addMapping(
                    .udp,
                    external: external,
                    internal: endpoint("192.168.1.2:7"),
                    lifetime: .seconds(60)
                )
            )
            #expect(!bench.box.addMapping(.udp, external: external, internal: endpoint("192.168.1.3:7")))
            #expect(!bench.box.addMapping(.udp, external: endpoint("9.9.9.9:1"), internal: socket.local))
            #expect(try bench.reaches(socket, at: external, from: "203.0.113.11:5000"))
            #expect(try bench.mapped(socket).allSatisfy { $0 == external })
            try lab.run(for: .seconds(60))
            #expect(try bench.reaches(socket, at: external, from: "203.0.113.11:5000") == false)
            #expect(bench.box.addMapping(.udp, external: external, internal: endpoint("192.168.1.3:7")))
            #expect(bench.box.removeMapping(.udp, external: external))
            #expect(!bench.box.removeMapping(.udp, external: external))
        }
    }

    @Test func anotherAddressOrARestartForgetsWhatPacketsMade() throws {
        try Lab.play(seed: 2) { lab in
            let bench = Bench(lab, Self.cone)
            let socket = try #require(bench.inside.openUDP(port: 7000))
            let first = try #require(try bench.mapped(socket)[0])
            _ = bench.box.addMapping(.tcp, external: endpoint("198.51.100.2:80"), internal: endpoint("192.168.1.3:80"))
            bench.box.renumber("198.51.100.77/24")
            #expect(try bench.reaches(socket, at: first, from: "203.0.113.10:3478") == false)
            #expect(try bench.mapped(socket)[0] == endpoint("198.51.100.77:7000"))
            #expect(bench.box.mappings(.tcp).map(\.external) == [endpoint("198.51.100.77:80")])
            bench.box.reboot()
            #expect(bench.box.mappings(.udp).isEmpty && bench.box.mappings(.tcp).isEmpty)
            #expect(try bench.reaches(socket, at: endpoint("198.51.100.77:7000"), from: "203.0.113.10:3478") == false)
        }
    }

    @Test func aFirewallKeepsAddressesAndFilters() throws {
        try Lab.play(seed: 2) { lab in
            let bench = Bench(lab, .firewall())
            let socket = try #require(bench.inside.openUDP(port: 7000))
            let own = endpoint("198.18.1.2:7000")
            #expect(try bench.reaches(socket, at: own, from: "203.0.113.10:3478") == false)
            #expect(try bench.mapped(socket).allSatisfy { $0 == own })
            #expect(try bench.reaches(socket, at: own, from: "203.0.113.10:3478"))
            #expect(try bench.reaches(socket, at: own, from: "203.0.113.10:5000") == false)
        }
    }

    @Test func errorsFindTheirWayBackThroughTheBox() throws {
        try Lab.play(seed: 2) { lab in
            let bench = Bench(lab, NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random))
            let socket = try #require(bench.inside.openUDP(port: 7000))
            let refusals = Box<[SocketRefusal]>([])
            socket.onRefusal = { refusals.value.append($0) }
            let closed = endpoint("203.0.113.10:9")
            for timeToLive: UInt8 in [1, 2, 3] {
                socket.send([1], to: closed, timeToLive: timeToLive)
                try lab.run(for: .seconds(1))
            }
            #expect(
                refusals.value == [
                    SocketRefusal(.timeExceeded, destination: closed, reporter: IPAddress("192.168.1.1")),
                    SocketRefusal(.timeExceeded, destination: closed, reporter: IPAddress("198.51.100.1")),
                    SocketRefusal(.portUnreachable, destination: closed, reporter: IPAddress("203.0.113.10")),
                ]
            )
        }
    }

    @Test func aBoxThatDropsICMPTellsNothing() throws {
        try Lab.play(seed: 2) { lab in
            var configuration = Self.cone
            configuration.passesICMP = false
            let bench = Bench(lab, configuration)
            let socket = try #require(bench.inside.openUDP(port: 7000))
            let refusals = Box(0)
            socket.onRefusal = { _ in refusals.value += 1 }
            for timeToLive: UInt8 in [1, 2, 3] {
                socket.send([1], to: endpoint("203.0.113.10:9"), timeToLive: timeToLive)
            }
            try lab.run(for: .seconds(1))
            #expect(refusals.value == 0)
            #expect(lab.drops.contains { $0.reason == .icmp })
        }
    }
}
