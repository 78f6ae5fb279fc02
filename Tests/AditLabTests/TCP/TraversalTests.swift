// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// TCP between two hosts behind boxes.
@Suite struct TraversalTests {
    /// Two sites, each a host behind a box, joined by a core.
    struct Sites {
        let hosts: [LabHost]
        let boxes: [LabNAT]
        let inner = [endpoint("192.168.1.2:5000"), endpoint("192.168.2.2:6000")]
        let outer = [endpoint("198.51.100.2:5000"), endpoint("192.0.2.2:6000")]

        init(_ lab: Lab, _ configurations: [NATConfiguration]) {
            let core = lab.router("core")
            var hosts: [LabHost] = []
            var boxes: [LabNAT] = []
            let wans = ["198.51.100", "192.0.2"]
            for side in 0...1 {
                func address(_ text: String) -> InterfaceAddress { InterfaceAddress(stringLiteral: text + "/24") }
                let host = lab.host("h\(side)")
                let box = lab.nat("n\(side)", configurations[side])
                let lan = lab.link(latency: .microseconds(100))
                let wan = lab.link(latency: .milliseconds(10))
                host.attach(to: lan, address("192.168.\(side + 1).2"))
                box.attach(to: lan, address("192.168.\(side + 1).1"))
                box.attach(to: wan, address("\(wans[side]).2"), side: .outside)
                core.attach(to: wan, address("\(wans[side]).1"))
                host.defaultRoute(via: address("192.168.\(side + 1).1").address)
                box.defaultRoute(via: address("\(wans[side]).1").address)
                hosts.append(host)
                boxes.append(box)
            }
            self.hosts = hosts
            self.boxes = boxes
        }

        func connect(_ side: Int) throws -> LabTCPConnection {
            try hosts[side].connect(from: inner[side], to: outer[1 - side]).get()
        }
    }

    private static let restricted = NATConfiguration(.endpointIndependent, .addressAndPortDependent)

    @Test(arguments: [NATBehavior.Unsolicited.drop, .reset, .accept])
    func synchronisedSYNsOpenTwoPortRestrictedBoxes(_ unsolicited: NATBehavior.Unsolicited) throws {
        try Lab.play(seed: 1) { lab in
            let configuration = Self.restricted.with { $0.unsolicited = unsolicited }
            let sites = Sites(lab, [configuration, configuration])
            let first = try sites.connect(0)
            let second = try sites.connect(1)
            try lab.run(for: .milliseconds(500))
            #expect(first.isConnected && second.isConnected)
        }
    }

    @Test func aLateSideIsReachedByTheRepeatedSYNUnlessTheBoxRefuses() throws {
        for unsolicited in [NATBehavior.Unsolicited.drop, .reset] {
            try Lab.play(seed: 1) { lab in
                let configuration = Self.restricted.with { $0.unsolicited = unsolicited }
                let sites = Sites(lab, [configuration, configuration])
                let first = try sites.connect(0)
                try lab.run(for: .milliseconds(300))
                let second = try sites.connect(1)
                try lab.run(for: .seconds(3))
                #expect(first.isConnected == (unsolicited == .drop))
                #expect(second.isConnected == (unsolicited == .drop))
            }
        }
    }

    @Test func symmetricBoxesNeverMeet() throws {
        try Lab.play(seed: 1) { lab in
            let symmetric = NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random)
            let sites = Sites(lab, [symmetric, Self.restricted])
            let first = try sites.connect(0)
            let second = try sites.connect(1)
            try lab.run(for: .seconds(200))
            #expect(!first.isConnected && !second.isConnected)
            #expect(lab.drops.contains { $0.reason == .filtered || $0.reason == .noMapping })
        }
    }

    @Test func aListenerInPlaceOfTheSocketThatSentTheSYNIsInvalidForATrackingBox() throws {
        for tracks in [true, false] {
            try Lab.play(seed: 1) { lab in
                let configuration = Self.restricted.with { $0.tracksWindows = tracks }
                let sites = Sites(lab, [configuration, configuration])
                let early = try sites.connect(1)
                try lab.run(for: .milliseconds(500))
                early.close()
                let accepted = Box(0)
                try #require(sites.hosts[1].listen(sites.inner[1])).onAccept = { _ in accepted.value += 1 }
                let late = try sites.connect(0)
                try lab.run(for: .seconds(20))
                #expect(late.isConnected == !tracks)
                #expect(accepted.value == (tracks ? 0 : 1))
                #expect(lab.drops.contains { $0.reason == .invalid } == tracks)
            }
        }
    }

    @Test func aDyingSYNEndsTheSocketWhereItsErrorComesBack() throws {
        for passes in [true, false] {
            try Lab.play(seed: 1) { lab in
                var configuration = Self.restricted
                configuration.passesICMP = passes
                let sites = Sites(lab, [configuration, Self.restricted])
                sites.hosts[0].timeToLive = 2
                let first = try sites.connect(0)
                let end = Box<LabTCPEvent?>(nil)
                first.onEvent = { end.value = $0 }
                try lab.run(for: .milliseconds(500))
                #expect((end.value == .ended(.unreachable)) == passes)
            }
        }
    }
}
