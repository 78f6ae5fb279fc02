// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Networks that change, and mappings that end")
struct DiscoveryChangeTests {
    private static let cone = NATConfiguration(.endpointIndependent, .addressAndPortDependent)

    @Test("a new external address in the middle of it begins everything again, once", arguments: UInt64(1)...4)
    func renumbering(_ seed: UInt64) throws {
        try Lab.play(seed: seed) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            surroundings.runServer()
            let events = surroundings.start(surroundings.configuration())
            lab.after(.milliseconds(700)) { surroundings.boxes[0].renumber("198.51.100.77/24") }
            try lab.run(for: .seconds(12))
            let report = try #require(events.value.last?.report)
            #expect(events.value.contains(.progress(.restarted)))
            #expect(report.didChange)
            #expect(report.udp.externalAddresses == [address("198.51.100.77")])
            #expect(report.udp.kind == .certain(.portRestrictedCone))
            #expect(lab.now == .zero + .seconds(12))
        }
    }

    @Test("an address that changes again and again makes everything uncertain")
    func flapping() throws {
        try Lab.play(seed: 5) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            surroundings.runServer()
            let events = surroundings.start(surroundings.configuration())
            for round in 1...40 {
                lab.after(.milliseconds(700 * round)) {
                    surroundings.boxes[0].renumber(InterfaceAddress(stringLiteral: "198.51.100.\(10 + round)/24"))
                }
            }
            try lab.run(for: .seconds(12))
            let report = try #require(events.value.last?.report)
            #expect(report.didChange)
            #expect(!report.udp.kind.isCertain)
            #expect(events.value.count { $0 == .progress(.restarted) } == 1)
        }
    }

    @Test("a new address of this machine begins everything again from there")
    func networkChange() throws {
        try Lab.play(seed: 6) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            surroundings.runServer()
            let events = surroundings.start(surroundings.configuration())
            lab.after(.milliseconds(400)) { surroundings.computer.changeAddresses(["192.168.1.9/24"]) }
            try lab.run(for: .seconds(12))
            let report = try #require(events.value.last?.report)
            #expect(events.value.contains(.progress(.restarted)))
            #expect(report.didChange)
            #expect(report.udp.example?.local.address == address("192.168.1.9"))
            #expect(report.udp.kind == .certain(.portRestrictedCone))
        }
    }

    @Test("lifetimes are found between two waits", arguments: [(25, 20, 30), (40, 30, 45), (100, 90, 120)])
    func lifetime(_ idle: Int, _ alive: Int, _ dead: Int) throws {
        for (filtering, allocation) in [
            (FilteringBehavior.addressAndPortDependent, PortAllocation.preserving), (.endpointIndependent, .random),
        ] {
            for mapping in [MappingBehavior.endpointIndependent, .addressAndPortDependent] {
                var weather = Surroundings.Weather()
                weather.loss = 0.05
                let box = NATConfiguration(mapping, filtering, allocation).with { $0.timers.idle = .seconds(idle) }
                let report = try discoverLifetime(box, weather)
                let expected = MappingLifetime(alive: .seconds(alive), dead: .seconds(dead))
                #expect(report.udp.lifetime == .certain(expected), "\(mapping) \(filtering) \(allocation)")
            }
        }
    }

    @Test("a lifetime longer than all waits has no upper bound, and one shorter has no lower")
    func lifetimeBounds() throws {
        let long = try discoverLifetime(Self.cone.with { $0.timers.idle = .seconds(600) })
        #expect(long.udp.lifetime == .certain(MappingLifetime(alive: .seconds(120), dead: nil)))
        #expect(long.udp.lifetime.value?.keepalive == .seconds(96))
        let short = try discoverLifetime(Self.cone.with { $0.timers.idle = .seconds(7) })
        #expect(short.udp.lifetime == .certain(MappingLifetime(alive: .zero, dead: .seconds(10))))
        #expect(short.udp.lifetime.value?.keepalive == .seconds(5))
    }

    @Test("an age that ends mappings in use shows where ports are drawn anew")
    func absolute() throws {
        var box = NATConfiguration(.endpointIndependent, .addressAndPortDependent, .random)
        box.udp.timers = .absolute(.seconds(60))
        let report = try discoverLifetime(box)
        let age = try #require(report.udp.lifetime.value?.maximumAge)
        #expect(age > .seconds(50) && age <= .seconds(62))
        #expect(report.advice.contains { if case .renewSockets = $0 { true } else { false } })
    }

    @Test("a server without RESPONSE-PORT still shows lifetimes where ports are drawn anew")
    func withoutResponsePort() throws {
        func run(_ allocation: PortAllocation) throws -> NATReport {
            try Lab.play(seed: 3) { lab in
                let box = NATConfiguration(.endpointIndependent, .addressAndPortDependent, allocation)
                let surroundings = Surroundings(lab, [box.with { $0.timers.idle = .seconds(40) }])
                surroundings.server.run(CrookedServer(.plain, at: Surroundings.server))
                return try surroundings.discover(
                    surroundings.configuration(extent: .withLifetime),
                    for: .seconds(200)
                )
            }
        }
        #expect(try run(.random).udp.lifetime == .certain(MappingLifetime(alive: .seconds(30), dead: .seconds(45))))
        #expect(try run(.preserving).udp.lifetime == .unknown(.noResponsePort))
    }

    private func discoverLifetime(
        _ box: NATConfiguration,
        _ weather: Surroundings.Weather = Surroundings.Weather()
    ) throws -> NATReport {
        try Lab.play(seed: 2) { lab in
            let surroundings = Surroundings(lab, [box], weather)
            surroundings.runServer()
            let events = surroundings.start(surroundings.configuration(extent: .withLifetime))
            // What does not take long is told first.
            #expect(try lab.run(for: .seconds(5)) { events.value.contains { $0.isInterim } })
            try lab.run(for: .seconds(200))
            return try #require(events.value.last?.report)
        }
    }
}

extension NATDiscovery.Event {
    var isInterim: Bool {
        if case .interim = self { return true }
        return false
    }
}
