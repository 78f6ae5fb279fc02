// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Plays every ordered pair of NAT kinds with several seeds, and compares each play with the oracle.
///
/// The pairs are numbered, so that several threads share the work without knowing of each other.
package struct LabGrid: Sendable {
    /// Where a play and the oracle do not agree.
    package struct Disagreement: Sendable, Hashable {
        /// Site A.
        package var a: NATRule
        /// Site B.
        package var b: NATRule
        /// The transport.
        package var transport: PunchTransport
        /// The number that repeats the play.
        package var seed: LabSeed
        /// What the oracle had said.
        package var outlook: Outlook
        /// What the play showed.
        package var isConnected: Bool

        /// Makes it from its parts.
        package init(
            a: NATRule,
            b: NATRule,
            transport: PunchTransport,
            seed: LabSeed,
            outlook: Outlook,
            isConnected: Bool
        ) {
            self.a = a
            self.b = b
            self.transport = transport
            self.seed = seed
            self.outlook = outlook
            self.isConnected = isConnected
        }
    }

    /// What came of plays.
    package struct Tally: Sendable, Hashable {
        /// How many plays there were.
        package var playCount = 0
        /// How many ended with a direct path.
        package var connectedCount = 0
        /// How many of the oracle's verdicts were certain or impossible, and were thus put to the test.
        package var testedCount = 0
        /// How many plays did not end as the oracle had said.
        package var disagreementCount = 0
        /// The first of them.
        package var disagreements: [Disagreement] = []

        /// Makes an empty tally.
        package init() {}

        /// Adds another one.
        package mutating func add(_ other: Tally) {
            playCount += other.playCount
            connectedCount += other.connectedCount
            testedCount += other.testedCount
            disagreementCount += other.disagreementCount
            disagreements = Array((disagreements + other.disagreements).prefix(Self.kept))
        }

        fileprivate mutating func add(_ disagreement: Disagreement) {
            disagreementCount += 1
            if disagreements.count < Self.kept { disagreements.append(disagreement) }
        }

        private static let kept = 20
    }

    /// The kinds of NAT.
    package var rules = NATRule.grid
    /// The transports.
    package var transports = PunchTransport.allCases
    /// The seeds.
    package var seeds: ClosedRange<UInt64>
    /// The share of packets that are lost between two places, 0 to 1.
    package var loss: Double
    /// Options of the language of sites that every box has, such as refusing unsolicited packets.
    package var unsolicited = BoxSpecification.Unsolicited.drop

    /// Makes a grid of every kind.
    package init(seeds: ClosedRange<UInt64>, loss: Double = 0) {
        self.seeds = seeds
        self.loss = loss
    }

    /// How many ordered pairs there are.
    package var pairCount: Int { rules.count * rules.count }

    /// Plays one pair with every transport and seed.
    package func play(pair: Int) throws(LabFailure) -> Tally {
        var tally = Tally()
        let (a, b) = (rules[pair / rules.count], rules[pair % rules.count])
        let scenario = LabScenario(site(a), site(b)).losing(loss)
        for transport in transports {
            let outlook = Oracle(scenario).verdict(transport).plain.outlook
            let play = PunchPlay(scenario, transport, tellsSteps: false)
            for seed in seeds {
                let isConnected = try play.run(seed: LabSeed(seed)).isConnected
                tally.playCount += 1
                if isConnected { tally.connectedCount += 1 }
                guard outlook == .certain || outlook == .never else { continue }
                tally.testedCount += 1
                guard isConnected != (outlook == .certain) else { continue }
                tally.add(
                    Disagreement(
                        a: a,
                        b: b,
                        transport: transport,
                        seed: LabSeed(seed),
                        outlook: outlook,
                        isConnected: isConnected
                    )
                )
            }
        }
        return tally
    }

    private func site(_ rule: NATRule) -> SiteSpecification {
        var site = SiteSpecification(rule)
        site.router.unsolicited = unsolicited
        return site
    }
}
