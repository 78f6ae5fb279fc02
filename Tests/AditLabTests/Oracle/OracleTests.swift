// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("The oracle")
struct OracleTests {
    private static let classic = ["full", "addr", "port", "sym"]

    private func plain(_ a: String, _ b: String, _ transport: PunchTransport = .udp) throws -> Outlook {
        Oracle(try LabScenario(a, b)).verdict(transport).plain.outlook
    }

    @Test("Of the sixteen classic pairs thirteen are certain and three are not, over both transports")
    func classicTable() throws {
        for transport in PunchTransport.allCases {
            for a in Self.classic {
                for b in Self.classic {
                    let isHard = a == "sym" && (b == "sym" || b == "port") || a == "port" && b == "sym"
                    #expect(try plain(a, b, transport) == (isHard ? .never : .certain), "\(a) \(b) \(transport)")
                    #expect(try plain(a + ",unsol=rst", b + ",unsol=rst", transport) == (isHard ? .never : .certain))
                }
            }
        }
    }

    @Test("Who begins does not change what is possible, for every pair of the grid")
    func symmetry() {
        for (index, a) in NATRule.grid.enumerated() {
            for b in NATRule.grid.dropFirst(index + 1) {
                for transport in PunchTransport.allCases {
                    let one = Oracle(LabScenario(SiteSpecification(a), SiteSpecification(b))).verdict(transport)
                    let other = Oracle(LabScenario(SiteSpecification(b), SiteSpecification(a))).verdict(transport)
                    #expect(one.plain.outlook == other.plain.outlook, "\(a.text) \(b.text)")
                    #expect(one.best.tactic == other.best.tactic, "\(a.text) \(b.text)")
                }
            }
        }
    }

    @Test(
        "Firewalls, public addresses and closed networks",
        arguments: [
            ("fw", "fw", Outlook.certain), ("fw", "port", .certain), ("fw", "sym", .never), ("fw", "seq", .never),
            ("public", "sym", .certain), ("public", "port", .certain), ("adm", "port", .never),
            ("adm", "addr", .certain),
            ("adm", "adm", .never), ("symblk", "full-r", .certain), ("blocked", "public", .never),
            ("public", "web", .never),
        ]
    )
    func others(a: String, b: String, outlook: Outlook) throws {
        #expect(try plain(a, b) == outlook)
        #expect(try plain(b, a, .tcp) == outlook)
    }

    @Test("UDP and TCP are judged by their own rules")
    func transports() throws {
        let verdict = { transport in
            Oracle(try LabScenario("udp=blocked,tcp=port", "udp=full,tcp=port")).verdict(transport)
        }
        #expect(try verdict(.udp).plain.outlook == .never)
        #expect(try verdict(.udp).plain.reason.english == "UDP does not get out of A's network")
        #expect(try verdict(.tcp).plain.outlook == .certain)
    }

    @Test("A home router behind a carrier's NAT acts as the stricter of both")
    func nested() throws {
        for carrier in ["full", "addr", "port"] {
            #expect(try plain("port,cgn=\(carrier)", "port") == .certain)
            #expect(try plain("port,cgn=\(carrier)", "sym") == .never)
            #expect(try plain("port,cgn=\(carrier)", "addr") == .certain)
        }
        for carrier in ["sym", "seq"] {
            #expect(try plain("full,cgn=\(carrier)", "addr") == .certain)
            #expect(try plain("full,cgn=\(carrier)", "full") == .certain)
            #expect(try plain("full,cgn=\(carrier)", "port") == .never)
        }
        #expect(try plain("full,cgn=full", "sym") == .certain)
        #expect(try plain("full,cgn=addr", "sym") == .certain)
        #expect(try plain("sym,cgn=full", "port") == .never)
    }

    @Test("Behind one carrier's NAT it takes a hairpin, in one home it does not")
    func neighbours() throws {
        let story = try LabScenario("port,cgn=port", "port")
        #expect(Oracle(story.behindOneCarrier()).verdict(.udp).plain.outlook == .never)
        let turned = try LabScenario("port,cgn=port,cgn_hairpin=1", "port").behindOneCarrier()
        #expect(Oracle(turned).verdict(.udp).plain.outlook == .certain)
        #expect(Oracle(turned).verdict(.tcp).plain.outlook == .certain)
        let home = Oracle(try LabScenario("sym", "sym").inOneHome()).verdict(.udp)
        #expect(home.plain.tactic == .localNetwork)
        #expect(home.plain.outlook == .certain)
    }

    @Test("A router that takes unsolicited packets for itself makes it a matter of timing")
    func accepting() throws {
        let story = try LabScenario("port,unsol=accept", "port,unsol=accept")
        #expect(Oracle(story).verdict(.udp).plain.outlook == .certain)
        #expect(Oracle(story.withLateB(.milliseconds(100))).verdict(.udp).plain.outlook == .timing)
        #expect(Oracle(story.losing(0.05)).verdict(.udp).plain.outlook == .timing)
        let open = try LabScenario("full,unsol=accept", "full,unsol=accept").withLateB(.seconds(1))
        #expect(Oracle(open).verdict(.udp).plain.outlook == .certain)
    }

    @Test("A pool of addresses halves the chance where the address is looked at")
    func pool() throws {
        #expect(try plain("sym,pool=2", "addr") == .chance(0.5))
        #expect(try plain("sym,pool=2", "full") == .certain)
        #expect(try plain("port,pool=2", "addr") == .certain)
    }

    @Test("Hard pairs have the tactic and the chance of the measured matrix")
    func hardPairs() throws {
        func best(_ a: String, _ b: String, flows: Double = 0, _ transport: PunchTransport = .udp) throws
            -> TacticForecast
        {
            Oracle(try LabScenario(a, b).withForeignFlows(flows)).verdict(transport).best
        }
        let birthday = try best("sym", "port")
        #expect(birthday.tactic == .birthday(sockets: 256, probes: 1024))
        #expect(abs((birthday.outlook.probability ?? 0) - 0.98) < 0.01)
        #expect(try best("seq", "port", flows: 100).tactic == .prediction(window: 60))
        #expect(try best("seq", "port", flows: 100).outlook.probability ?? 0 > 0.95)
        #expect(try best("seq", "seq2", flows: 20).tactic == .sequenceWindow(sockets: 60))
        #expect(try best("sym", "sym").tactic == .relay)
        #expect(try best("sym", "seq").tactic == .relay)
        #expect(try best("symblk", "seq").tactic == .sequenceAgainstRandom(sockets: 1024))
        let blocks = try best("symblk", "symblk")
        #expect(blocks.tactic == .mutualBirthday(sockets: 1024))
        #expect(abs((blocks.outlook.probability ?? 0) - 0.22) < 0.01)
        #expect(try best("sym,unsol=rst", "port", .tcp).tactic == .relay)
        #expect(try best("sym", "port", .tcp).tactic == .birthday(sockets: 256, probes: 1024))
        #expect(try best("blocked", "port").tactic == .relay)
        #expect(try best("port", "port").tactic == .plain)
    }

    @Test("Every verdict has its reason in both languages, and what is certain is never beside other tactics")
    func words() {
        for a in NATRule.grid {
            for b in [NATRule.grid[9], NATRule.grid[22], NATRule.grid[34], NATRule.grid[35]] {
                let verdict = Oracle(LabScenario(SiteSpecification(a), SiteSpecification(b))).verdict(.tcp)
                for forecast in [verdict.plain] + verdict.others {
                    #expect(!forecast.reason.english.isEmpty && forecast.reason.english != forecast.reason.chinese)
                }
                #expect(verdict.others.isEmpty == (verdict.plain.outlook == .certain))
            }
        }
    }
}
