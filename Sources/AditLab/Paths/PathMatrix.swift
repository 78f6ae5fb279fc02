// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// A table of plays of paths: every type in the rows as site A against every type in the columns as site B.
package struct PathMatrix: Sendable {
    /// What came of one pair.
    package struct Cell: Sendable, Hashable {
        /// Site A.
        package var a: SiteSpecification
        /// Site B.
        package var b: SiteSpecification
        /// The plays.
        package var outcomes: [PathOutcome]
        /// What theory expects.
        package var forecast: PathForecast

        /// How many plays ended with a path, direct or relayed, of which both ends tell the same.
        package var connectedCount: Int { outcomes.count { $0.kind.isUsable && $0.isAgreed } }
        /// How many plays ended with a direct path.
        package var directCount: Int { outcomes.count(where: \.kind.isDirect) }
        /// Whether all plays ended with a direct path.
        package var isDirect: Bool { directCount == outcomes.count }
        /// The middle one of the times until A's first byte had arrived at B.
        package var timeToFirstByte: Duration? { Self.median(outcomes.compactMap(\.timeToFirstByte)) }
        /// The middle one of the times until both ends had a direct path.
        package var timeToDirect: Duration? { Self.median(outcomes.compactMap(\.timeToDirect)) }
        /// The middle one of the numbers of packets that both hosts sent.
        package var packetCount: Int { Self.median(outcomes.map(\.packetCount)) ?? 0 }
        /// The sentence of the first play.
        package var sentence: Text? { outcomes.first?.sentences.first }
        /// The word for the reason of the first play.
        package var word: String? { outcomes.first?.reason?.word }

        private static func median<Value: Comparable>(_ values: [Value]) -> Value? {
            values.isEmpty ? nil : values.sorted()[values.count / 2]
        }
    }

    /// The sites.
    package var sites: [SiteSpecification]
    /// How many seeds each pair is played with, from the first on.
    package var seedCount: Int
    /// The first seed.
    package var firstSeed: UInt64
    /// The share of packets that are lost, 0 to 1.
    package var loss: Double
    /// The only tactic beside candidates and relays; nil for all that are usual.
    package var tactic: PathTactic?

    /// Makes a table.
    package init(
        _ sites: [SiteSpecification],
        seedCount: Int = 3,
        firstSeed: UInt64 = 1,
        loss: Double = 0,
        tactic: PathTactic? = nil
    ) {
        self.sites = sites
        self.seedCount = max(1, seedCount)
        self.firstSeed = firstSeed
        self.loss = loss
        self.tactic = tactic
    }

    /// What is played in a cell: over TCP neither network lets UDP out.
    package func scenario(
        _ a: SiteSpecification,
        _ b: SiteSpecification,
        _ transport: PunchTransport
    ) -> PathScenario {
        var (a, b) = (a, b)
        if transport == .tcp {
            a.router.udp = .blocked
            b.router.udp = .blocked
        }
        var scenario = PathScenario(LabScenario(a, b)).losing(loss)
        if let tactic { scenario.tactics = [tactic] }
        return scenario
    }

    /// Plays every cell, row by row.
    package func play(_ transport: PunchTransport) throws(LabFailure) -> [[Cell]] {
        var rows: [[Cell]] = []
        for a in sites {
            var row: [Cell] = []
            for b in sites {
                let scenario = scenario(a, b, transport)
                let play = PathPlay(scenario)
                var cell = Cell(a: a, b: b, outcomes: [], forecast: PathOracle(scenario).forecast)
                for number in 0..<seedCount {
                    cell.outcomes.append(try play.run(seed: LabSeed(firstSeed &+ UInt64(number))))
                }
                row.append(cell)
            }
            rows.append(row)
        }
        return rows
    }
}
