// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Tactics in the lab")
struct TacticPlayTests {
    private static let classic = ["full", "addr", "port", "sym"]

    private func table(_ tactic: PlayTactic, _ option: String = "") throws -> [String: Bool] {
        var cells: [String: Bool] = [:]
        for a in Self.classic {
            for b in Self.classic {
                var play = PunchPlay(try LabScenario(a + option, b + option), .udp, tactic)
                play.tellsSteps = false
                cells["\(a) \(b)"] = try play.run(seed: LabSeed(2)).isConnected
            }
        }
        return cells
    }

    @Test("Taken literally, seven steps reach six pairs through routers that track windows")
    func literal() throws {
        let reached = try table(.sevenSteps).filter(\.value).keys.sorted()
        #expect(reached == ["full addr", "full full", "full port", "full sym", "sym addr", "sym full"])
        // It is the tracking that stops the others: without it, the listener's answer passes.
        #expect(try table(.sevenSteps, ",track=0").filter(\.value).count == 12)
    }

    @Test("With the socket of the fourth step kept they reach thirteen, as both connecting at once does")
    func kept() throws {
        let hard: Set = ["port sym", "sym port", "sym sym"]
        #expect(Set(try table(.sevenStepsKept).filter { !$0.value }.keys) == hard)
        #expect(Set(try table(.tcp).filter { !$0.value }.keys) == hard)
        #expect(Set(try table(.tcp, ",unsol=rst").filter { !$0.value }.keys) == hard)
    }

    @Test("The trace tells each step in its order, in both languages, and what stopped it")
    func trace() throws {
        let outcome = try PunchPlay(try LabScenario("addr", "port"), .tcp, .sevenSteps).run(seed: LabSeed(1))
        let english = outcome.steps.map(\.words.english)
        var last = 0
        for number in 2...7 {
            let index = try #require(english.firstIndex { $0.hasPrefix("step \(number):") })
            #expect(index > last)
            last = index
        }
        #expect(outcome.steps.contains { $0.words.chinese.hasPrefix("第 7 步：") })
        #expect(outcome.drops.contains { $0.reason == .invalid && $0.site == .b })
        #expect(outcome.tactic.remark?.english.contains("6 of the 16") == true)
    }

    @Test(
        "Searches find the ports of NATs for which the plain punch is impossible, over both transports",
        arguments: [
            ("seq", "port", PlayTactic.prediction), ("port", "seq2", .prediction), ("seq", "seq", .window),
            ("sym", "port", .birthday), ("port", "sym", .birthday),
        ],
        PunchTransport.allCases
    )
    func searches(story: (String, String, PlayTactic), transport: PunchTransport) throws {
        let scenario = try LabScenario(story.0, story.1)
        #expect(try !PunchPlay(scenario, transport, tellsSteps: false).run(seed: LabSeed(4)).isConnected)
        var found = 0
        for seed in UInt64(1)...3 {
            var play = PunchPlay(scenario, transport, story.2)
            play.tellsSteps = false
            let outcome = try play.run(seed: LabSeed(seed))
            guard let duration = outcome.duration else { continue }
            found += 1
            #expect(duration < .seconds(story.2 == .birthday ? transport == .udp ? 12 : 20 : 1))
        }
        #expect(found >= 2)
    }

    @Test("A tactic that is for other NATs says so")
    func unsuitable() throws {
        let outcome = try PunchPlay(try LabScenario("sym", "port"), .udp, .prediction).run(seed: LabSeed(1))
        #expect(outcome.sides.values.contains { $0.failure == .unsuitable })
        #expect(outcome.reasons.allSatisfy { !$0.english.isEmpty })
    }

    @Test("Loss does not stop a search")
    func loss() throws {
        var found = 0
        for seed in UInt64(1)...10 {
            for (a, b, tactic) in [("seq", "port", PlayTactic.prediction), ("seq", "seq", .window)] {
                if try PunchPlay(try LabScenario(a, b).losing(0.05), .udp, tactic).run(seed: LabSeed(seed)).isConnected
                {
                    found += 1
                }
            }
        }
        #expect(found >= 17)
    }
}

@Suite("How often searches succeed")
struct LabRatesTests {
    /// The share that hosts of the same kind reached behind the kernel's NATs, with room for the chance of few plays.
    private func expect(_ kind: LabRates.Kind, plays: Int, _ floor: (LabRates.Row) -> [Double]?) throws {
        let rates = LabRates(playCount: plays)
        for row in LabRates.usual where row.kind == kind {
            guard let floors = floor(row) else { continue }
            let result = try #require(try rates.play(row))
            for (count, floor) in zip(result.successes, floors) {
                let deviation = (floor * (1 - floor) / Double(plays)).squareRoot()
                #expect(
                    Double(count) / Double(plays) >= floor - 2.6 * deviation - 0.01,
                    "\(row.transport) \(row.a) \(row.b), \(row.flows) flows: \(result.successes) of \(plays)"
                )
            }
        }
    }

    @Test("The birthday search of a random port, by the number of tries")
    func birthday() throws {
        try expect(.birthday, plays: 8) { row in
            switch (row.transport, row.options.sockets, row.marks.count) {
            case (.udp, 128, _): [0.12, 0.23, 0.29, 0.40, 0.63, 0.85]
            case (.udp, 256, 6): [0.17, 0.39, 0.48, 0.62, 0.84, 0.98]
            case (.udp, _, _): [0.98]
            case (.tcp, _, _): [0.64, 0.97]
            }
        }
    }

    @Test("Predictions of a sequence, by the number of tries and by other people's flows")
    func prediction() throws {
        try expect(.prediction, plays: 8) { row in
            if row.lateness > .zero { return row.holdsBack ? [1] : nil }
            if row.options.probes > row.options.window { return [1] }
            switch (row.transport, row.flows, row.options.window) {
            case (_, 0, _): return [1]
            case (.udp, 20, 5): return [0.95]
            case (.tcp, 20, 5): return [0.47]
            case (_, 20, 20...), (.udp, 100, 20...), (_, 100, 60): return [1]
            case (.tcp, 100, 20): return [0.93]
            case (_, 300, 60): return [0.95]
            default: return nil
            }
        }
    }

    @Test("Two sequences that meet in the middle")
    func window() throws {
        try expect(.window, plays: 8) { row in
            if row.lateness > .zero { return row.holdsBack ? [0.9] : nil }
            switch (row.transport, row.flows, row.options.window) {
            case (_, 0, _): return [1]
            case (.udp, 20, 5): return [0.35]
            case (.udp, 20, _): return [1]
            case (.udp, 100, 60): return [0.9]
            case (.tcp, 20, 10): return [0.6]
            case (.tcp, 20, _): return [0.93]
            case (.tcp, 100, 40...): return [0.8]
            default: return nil
            }
        }
    }

    @Test("Two small blocks of ports")
    func block() throws {
        try expect(.block, plays: 12) { row in row.theory.map { [$0] } }
    }
}

@Suite("What a search costs at the router")
struct SearchCostTests {
    /// What a site's host sent to the peer's address, as its router saw it.
    private struct Cost {
        var times: [Instant] = []
        var ports: Set<UInt16> = []
        var flows: Set<[IPEndpoint]> = []

        /// The most packets in any second.
        var mostInSecond: Int {
            var most = 0
            var first = 0
            for index in times.indices {
                while times[index] - times[first] >= .seconds(1) { first += 1 }
                most = max(most, index - first + 1)
            }
            return most
        }
    }

    private func costs(_ a: String, _ b: String, _ transport: PunchTransport, _ tactic: PlayTactic, seed: UInt64)
        throws -> (outcome: PlayOutcome, costs: [SiteName: Cost])
    {
        var costs: [SiteName: Cost] = [:]
        var entries: [LabTrace.Entry] = []
        var homes: [SiteName: Int] = [:]
        let play = PunchPlay(try LabScenario(a, b), transport, tactic)
        let outcome = try play.run(seed: LabSeed(seed)) { lab, isOver in
            guard isOver else { return lab.record(limit: 2_000_000) }
            entries = lab.trace?.entries ?? []
            for site in SiteName.allCases {
                homes[site] = lab.links.firstIndex { $0.name == "home \(site.rawValue)" }
            }
        }
        let heard = outcome.sides.values.compactMap(\.connectedAt).min().map { end in
            // What a long search has sent in the last round trip is mixed with answers.
            end > .seconds(1) ? end - .milliseconds(70) : end
        }
        for entry in entries {
            guard case .crossed(let link, _, _, _) = entry.outcome, entry.packet.protocol != .icmp else { continue }
            guard let site = SiteName.allCases.first(where: { homes[$0] == link }) else { continue }
            let packet = entry.packet
            let servers = [LabWorld.serverAddress, LabWorld.serverAlternateAddress]
            guard case .v4(let number) = packet.source.address, number >> 16 == 0xC0A8,
                !servers.contains(packet.destination.address)
            else { continue }
            // Nor are the answer to a SYN, and what is said on a connection that is there.
            if case .tcp(let segment) = packet.content, segment.flags.intersection([.syn, .ack]) != .syn { continue }
            // What follows when the peer has been heard is no search any more.
            if let heard, entry.at - .zero > heard { continue }
            costs[site, default: Cost()].times.append(entry.at)
            costs[site, default: Cost()].ports.insert(packet.source.port)
            costs[site, default: Cost()].flows.insert([packet.source, packet.destination])
        }
        return (outcome, costs)
    }

    @Test(
        "No more than 256 sockets, 100 packets in any second, 1200 flows and 20 seconds, found or not",
        arguments: [
            ("sym", "port", PunchTransport.udp, PlayTactic.birthday), ("sym", "port", .tcp, .birthday),
            ("seq", "port", .udp, .prediction), ("seq,unsol=rst", "port,unsol=rst", .tcp, .prediction),
            ("seq", "seq", .udp, .window), ("seq,unsol=rst", "seq,unsol=rst", .tcp, .window),
            ("symblk", "symblk", .udp, .block),
        ]
    )
    func budget(story: (String, String, PunchTransport, PlayTactic)) throws {
        for seed in UInt64(1)...3 {
            let (outcome, costs) = try costs(story.0, story.1, story.2, story.3, seed: seed)
            #expect(costs.count == 2, "seed \(seed): \(outcome.sides)")
            for (site, cost) in costs {
                let place = "\(story) \(site) seed \(seed)"
                #expect(cost.ports.count <= 257, "\(place): \(cost.ports.count) ports")
                #expect(cost.mostInSecond <= 100, "\(place): \(cost.mostInSecond) packets in a second")
                #expect(cost.flows.count <= 1200, "\(place): \(cost.flows.count) flows")
                let (first, last) = (try #require(cost.times.first), try #require(cost.times.last))
                #expect(last - first <= .seconds(20), "\(place): \(last - first)")
            }
        }
    }
}
