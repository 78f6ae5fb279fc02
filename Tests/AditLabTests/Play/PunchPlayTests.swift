// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Punching in the lab")
struct PunchPlayTests {
    private static let classic = ["full", "addr", "port", "sym"]
    private static let pairs = classic.flatMap { a in classic.map { (a, $0) } }

    private static func isHard(_ a: String, _ b: String) -> Bool {
        a == "sym" && (b == "sym" || b == "port") || a == "port" && b == "sym"
    }

    @Test(
        "Thirteen of the sixteen classic pairs, over both transports, also where routers refuse",
        arguments: ["", ",unsol=rst"]
    )
    func classicTable(option: String) throws {
        for transport in PunchTransport.allCases {
            for (a, b) in Self.pairs {
                for seed in [UInt64(1), 2, 3] {
                    let story = try LabScenario(a + option, b + option)
                    let outcome = try PunchPlay(story, transport, tellsSteps: false).run(seed: LabSeed(seed))
                    #expect(
                        outcome.isConnected == !Self.isHard(a, b),
                        "\(a)\(option) \(b)\(option) \(transport) seed \(seed): \(outcome.sides)"
                    )
                }
            }
        }
    }

    @Test("Two cones meet in about one round trip, a symmetric NAT takes about two")
    func times() throws {
        for seed in UInt64(1)...10 {
            let cones = try PunchPlay(try LabScenario("port", "port"), .udp).run(seed: LabSeed(seed))
            #expect((0.9...1.6).contains(cones.roundTrips ?? 0), "seed \(seed): \(cones.roundTrips ?? 0)")
            let symmetric = try PunchPlay(try LabScenario("sym", "addr"), .udp).run(seed: LabSeed(seed))
            #expect((0.9...4.0).contains(symmetric.roundTrips ?? 0), "seed \(seed): \(symmetric.roundTrips ?? 0)")
            let tcp = try PunchPlay(try LabScenario("port", "port"), .tcp).run(seed: LabSeed(seed))
            #expect((0.9...4.0).contains(tcp.roundTrips ?? 0), "seed \(seed): \(tcp.roundTrips ?? 0)")
        }
    }

    @Test("A play that fails says which box let what not in")
    func reasons() throws {
        let outcome = try PunchPlay(try LabScenario("sym", "port"), .udp).run(seed: LabSeed(7))
        #expect(!outcome.isConnected)
        let seen = try #require(outcome.sides[.a]?.seen)
        let reason = try #require(
            outcome.reasons.first { $0.english.hasPrefix("B's router does not let \(seen.address):") }
        )
        #expect(reason.english.hasSuffix("B has sent only to \(seen)"))
        #expect(reason.chinese != reason.english)
        #expect(outcome.steps.contains { $0.isDrop })
        #expect(outcome.steps.map(\.at) == outcome.steps.map(\.at).sorted())
        #expect(outcome.reasons.count == 2)
    }

    @Test("The same seed gives the same play, another one another", arguments: PunchTransport.allCases)
    func repeatable(transport: PunchTransport) throws {
        let play = PunchPlay(try LabScenario("sym", "full").losing(0.05), transport)
        let first = try play.run(seed: LabSeed(11))
        #expect(try play.run(seed: LabSeed(11)) == first)
        #expect(try play.run(seed: LabSeed(12)).sides != first.sides)
    }

    @Test(
        "Around the table: firewalls, carriers, closed networks",
        arguments: [
            ("fw", "fw", true), ("fw", "port", true), ("fw", "sym", false), ("public", "sym", true),
            ("public", "public", true),
            ("port,cgn=port", "port", true), ("port,cgn=full", "sym", false), ("full,cgn=addr", "sym", true),
            ("full,cgn=sym", "addr", true), ("full,cgn=seq", "port", false), ("sym,cgn=sym", "full", true),
            ("blocked", "public", false), ("public", "web", false), ("adm", "addr-r", true), ("adm", "adm", false),
            ("full,cgn=apdm/eif/random", "port", true), ("addr,cgn=apdm/eif/random", "sym", true),
            ("apdm/eif/keep,cgn=addr", "port", false), ("fw,cgn=port", "port", true), ("port,cgn=fw", "sym", false),
        ]
    )
    func around(a: String, b: String, works: Bool) throws {
        for transport in PunchTransport.allCases {
            let story = try LabScenario(a, b)
            let outcome = try PunchPlay(story, transport).run(seed: LabSeed(5))
            #expect(outcome.isConnected == works, "\(a) \(b) \(transport): \(outcome.steps.map(\.words.english))")
            let verdict = Oracle(story).verdict(transport).plain.outlook
            #expect(verdict == (works ? .certain : .never), "\(a) \(b) \(transport)")
        }
    }

    @Test("UDP may be closed where TCP is not")
    func blockedUDP() throws {
        let story = try LabScenario("udp=blocked,tcp=port", "udp=blocked,tcp=port")
        let udp = try PunchPlay(story, .udp).run(seed: LabSeed(1))
        #expect(!udp.isConnected)
        #expect(udp.sides[.a]?.failure == .noServer)
        #expect(try PunchPlay(story, .tcp).run(seed: LabSeed(1)).isConnected)
    }

    @Test(
        "Neighbours: one home by its own addresses, one carrier only with a hairpin",
        arguments: PunchTransport.allCases
    )
    func neighbours(transport: PunchTransport) throws {
        for kind in ["port", "sym"] {
            let home = try PunchPlay(try LabScenario(kind, kind).inOneHome(), transport).run(seed: LabSeed(3))
            #expect(home.sides[.a]?.path?.address == .v4(0xC0A8_0103), "\(home.steps.map(\.words.english))")
            #expect(home.isConnected)
        }
        for (hairpin, works) in [(0, false), (1, true)] {
            let story = try LabScenario("port,cgn=port,cgn_hairpin=\(hairpin)", "port").behindOneCarrier()
            let outcome = try PunchPlay(story, transport).run(seed: LabSeed(3))
            #expect(outcome.isConnected == works, "\(outcome.steps.map(\.words.english))")
            #expect(works || outcome.reasons.contains { $0.english.contains("no hairpin") })
        }
    }

    @Test("A late start does no harm over UDP, unless the router takes early packets for itself")
    func lateStart() throws {
        for late in [100, 500, 1500] {
            for option in ["", ",unsol=rst"] {
                let story = try LabScenario("port" + option, "port" + option).withLateB(.milliseconds(late))
                #expect(try PunchPlay(story, .udp).run(seed: LabSeed(1)).isConnected, "\(option) \(late)")
                #expect(try PunchPlay(story, .tcp).run(seed: LabSeed(1)).isConnected, "TCP \(option) \(late)")
            }
            let accepting = try LabScenario("port,unsol=accept", "port,unsol=accept")
            #expect(try PunchPlay(accepting, .udp).run(seed: LabSeed(1)).isConnected)
            #expect(try !PunchPlay(accepting.withLateB(.milliseconds(late)), .udp).run(seed: LabSeed(1)).isConnected)
        }
    }
}
