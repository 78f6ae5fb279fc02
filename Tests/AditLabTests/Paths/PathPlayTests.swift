// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// A story of two sites, how it has to end, and why.
struct PathStory: Sendable, CustomTestStringConvertible {
    var a: String
    var b: String
    var kind: PathKind
    /// The word of the reason; nil for any.
    var word: String?
    var change: @Sendable (inout PathScenario) -> Void = { _ in }
    var name = ""

    var testDescription: String { "\(a) and \(b) \(name)" }
}

@Suite("Paths between two devices")
struct PathPlayTests {
    /// Plays a story and expects that both ends agree.
    @discardableResult
    private func play(_ story: PathStory, seed: UInt64 = 1) throws -> PathOutcome {
        var scenario = try PathScenario(story.a, story.b)
        story.change(&scenario)
        let outcome = try PathPlay(scenario).run(seed: LabSeed(seed))
        #expect(outcome.kind == story.kind, "\(outcome.sentences.map(\.english))")
        if let word = story.word { #expect(outcome.reason?.word == word) }
        #expect(outcome.isAgreed, "\(outcome.sentences.map(\.english))")
        return outcome
    }

    @Test(
        "The thirteen easy pairs are direct within three round trips and 50 ms, counted from the first signal",
        arguments: ["full", "addr", "port", "sym"],
        ["full", "addr", "port", "sym"]
    )
    func easy(a: String, b: String) throws {
        guard PathOracle(try PathScenario(a, b)).forecast.isPlain else { return }
        let outcome = try play(PathStory(a: a, b: b, kind: .direct(.udp)))
        let time = try #require(outcome.timeToDirect)
        #expect(time <= outcome.scenario.roundTrip * 3 + .milliseconds(50))
        #expect(outcome.timeToFirstByte.map { $0 <= .milliseconds(250) } == true)
        #expect(outcome.packetCount < 80)
    }

    @Test(
        "Where UDP is blocked the easy pairs are direct over TCP within eight round trips, and within thirteen unprepared",
        arguments: ["full", "addr", "port", "sym"],
        ["full", "addr", "port", "sym"]
    )
    func easyTCP(a: String, b: String) throws {
        guard PathOracle(try PathScenario(a, b)).forecast.isPlain else { return }
        let sites = (a: "udp=blocked,tcp=" + a, b: "udp=blocked,tcp=" + b)
        let warm = try play(PathStory(a: sites.a, b: sites.b, kind: .direct(.tcp)))
        #expect(try #require(warm.timeToDirect) <= warm.scenario.roundTrip * 8)
        let cold = try play(
            PathStory(
                a: sites.a,
                b: sites.b,
                kind: .direct(.tcp),
                change: {
                    $0.isReady = false
                    $0.knowsNAT = false
                }
            )
        )
        #expect(try #require(cold.timeToDirect) <= cold.scenario.roundTrip * 13)
    }

    @Test(
        "What needs more than a plain punch ends as theory says, with the reason for it",
        arguments: [
            PathStory(a: "sym", b: "port", kind: .direct(.udp), word: "birthday"),
            PathStory(a: "seq", b: "port", kind: .direct(.udp), word: "predicted"),
            PathStory(a: "port", b: "seq2", kind: .direct(.udp), word: "predicted"),
            PathStory(a: "seq", b: "seq", kind: .direct(.udp), word: "window"),
            PathStory(a: "sym", b: "sym", kind: .relayed(.udp), word: "both-symmetric"),
            PathStory(
                a: "sym",
                b: "port",
                kind: .direct(.udp),
                word: "birthday",
                change: { $0.policies = [.a: .directOnly] },
                name: "without the relay"
            ),
            PathStory(
                a: "port",
                b: "seq",
                kind: .direct(.udp),
                word: "predicted",
                change: { $0.relays = [] },
                name: "without any relay"
            ),
            PathStory(
                a: "udp=blocked,tcp=sym",
                b: "udp=blocked,tcp=sym",
                kind: .direct(.tcp),
                word: "port-mapping",
                change: { $0.openers = [.b] },
                name: "with a TCP port opened at B"
            ),
            PathStory(
                a: "udp=blocked,tcp=sym",
                b: "udp=blocked,tcp=sym",
                kind: .direct(.tcp),
                word: "port-mapping",
                change: {
                    $0.openers = [.a]
                    $0.knowsNAT = false
                    $0.isReady = false
                },
                name: "with a TCP port opened at A, and nothing known"
            ),
            PathStory(a: "udp=blocked,tcp=seq", b: "udp=blocked,tcp=port", kind: .direct(.tcp)),
            PathStory(a: "udp=blocked,tcp=port", b: "udp=blocked,tcp=seq", kind: .direct(.tcp)),
            PathStory(
                a: "sym",
                b: "sym",
                kind: .direct(.udp),
                word: "ipv6",
                change: { $0.ipv6 = [.a, .b] },
                name: "with IPv6"
            ),
            PathStory(
                a: "port",
                b: "port",
                kind: .direct(.udp),
                word: "same-network",
                change: { $0.base.neighbourhood = .sameRouter },
                name: "in one home"
            ),
            PathStory(
                a: "port",
                b: "port",
                kind: .relayed(.udp),
                word: "relay-only",
                change: { $0.policies = [.b: .relayOnly] },
                name: "with --p2p off"
            ),
            PathStory(
                a: "sym",
                b: "port",
                kind: .relayed(.udp),
                word: "symmetric-meets-strict",
                change: { $0.quiet = [.b] },
                name: "in quiet mode"
            ),
        ]
    )
    func others(story: PathStory) throws {
        try play(story)
    }

    @Test(
        "Where no try can help the reason is told long before trying ends",
        arguments: [
            PathStory(
                a: "port",
                b: "port",
                kind: .relayed(.udp),
                word: "no-hairpin",
                change: { $0.base.neighbourhood = .sameCarrier },
                name: "behind one carrier"
            ),
            PathStory(a: "udp=blocked,tcp=sym", b: "port", kind: .relayed(.tcp), word: "udp-blocked-tcp-symmetric"),
            PathStory(a: "port", b: "udp=blocked,tcp=sym", kind: .relayed(.tcp), word: "udp-blocked-tcp-symmetric"),
        ]
    )
    func early(story: PathStory) throws {
        var scenario = try PathScenario(story.a, story.b)
        story.change(&scenario)
        var play = PathPlay(scenario)
        play.limit = .seconds(12)
        let outcome = try play.run(seed: LabSeed(1))
        #expect(outcome.kind == story.kind, "\(outcome.sentences.map(\.english))")
        #expect(outcome.reason?.word == story.word)
        #expect(outcome.isAgreed, "\(outcome.sentences.map(\.english))")
    }

    @Test("The sentence of a birthday search counts the probes, whichever end leads", arguments: [1, 2, 3] as [UInt64])
    func birthday(seed: UInt64) throws {
        for (a, b, prober) in [("sym", "port", SiteName.b), ("port", "sym", .a)] {
            var play = PathPlay(try PathScenario(a, b))
            play.linger = .seconds(1)
            var reports: [SiteName: PathReport] = [:]
            _ = try play.run(seed: LabSeed(seed)) { stage, isOver in
                guard isOver else { return }
                for site in SiteName.allCases {
                    reports[site] = stage.finders[site]?.machine.report(of: PathStage.device(site.other))
                }
            }
            let report = try #require(reports[prober])
            guard case .birthday(_, _, let probes) = report.reason else {
                Issue.record("\(report.reason)")
                continue
            }
            #expect(reports[prober.other]?.reason == report.reason)
            // What the prober sent beside its probes: checks, questions to servers, connections.
            #expect((0...120).contains(report.packetsSpent - probes))
        }
    }

    @Test("Nothing is lost on the way to a path that TCP's signalling only delays", arguments: [1, 2, 3] as [UInt64])
    func loss(seed: UInt64) throws {
        try play(PathStory(a: "port", b: "port", kind: .direct(.udp), change: { $0.base.loss = 0.05 }), seed: seed)
    }

    @Test("The same seed gives the same play")
    func repeats() throws {
        let scenario = try PathScenario("sym", "addr").losing(0.03)
        let (one, other) = (
            try PathPlay(scenario).run(seed: LabSeed(5)), try PathPlay(scenario).run(seed: LabSeed(5))
        )
        #expect(one == other)
    }
}

@Suite("The grid of paths")
struct PathGridTests {
    @Test(
        "A sample of every kind ends as theory says, with the same sentence on both ends, at losses of 0 to 5 percent"
    )
    func sample() throws {
        let grid = PathGrid(seeds: 1...1, searchSeedCount: 1)
        #expect(grid.pairCount == 1296)
        var tally = PathGrid.Tally()
        // A step that shares no factor with the number of kinds visits each on both sides.
        for pair in stride(from: 0, to: grid.pairCount, by: 41) { tally.add(try grid.play(pair: pair)) }
        for finding in tally.findings {
            Issue.record("\(finding.fault): A=\(finding.a) B=\(finding.b) seed \(finding.seed): \(finding.what)")
        }
        #expect(tally.directCount > tally.relayedCount)
        #expect(PathGrid.isFair(tally))
    }
}
