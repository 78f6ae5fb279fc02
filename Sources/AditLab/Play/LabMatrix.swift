// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A table of plays: every type in the rows as site A against every type in the columns as site B.
package struct LabMatrix: Sendable {
    /// What came of one pair.
    package struct Cell: Sendable, Hashable {
        /// Site A.
        package var a: SiteSpecification
        /// Site B.
        package var b: SiteSpecification
        /// How many plays there were.
        package var playCount: Int
        /// How long those took that ended with a direct path, shortest first.
        package var durations: [Duration]
        /// What the oracle says.
        package var verdict: OracleVerdict

        /// Whether all plays ended with a direct path.
        package var isDirect: Bool { durations.count == playCount }
        /// The middle one of the durations; nil when there is none.
        package var median: Duration? { durations.isEmpty ? nil : durations[durations.count / 2] }
    }

    /// The four names that most texts use, in the language of sites.
    package static let classicTypes = ["full", "addr", "port", "sym"]

    /// The sites.
    package var sites: [SiteSpecification]
    /// How many seeds each pair is played with, from the first on.
    package var seedCount: Int
    /// The first seed.
    package var firstSeed: UInt64
    /// The share of packets that are lost, 0 to 1.
    package var loss: Double
    /// How the hosts try.
    package var tactic = PlayTactic.plain

    /// Makes a table.
    package init(_ sites: [SiteSpecification], seedCount: Int = 5, firstSeed: UInt64 = 1, loss: Double = 0) {
        self.sites = sites
        self.seedCount = max(1, seedCount)
        self.firstSeed = firstSeed
        self.loss = loss
    }

    /// Plays every cell, row by row.
    package func play(_ transport: PunchTransport) throws(LabFailure) -> [[Cell]] {
        var rows: [[Cell]] = []
        for a in sites {
            var row: [Cell] = []
            for b in sites { row.append(try cell(a, b, transport)) }
            rows.append(row)
        }
        return rows
    }

    private func cell(_ a: SiteSpecification, _ b: SiteSpecification, _ transport: PunchTransport) throws(LabFailure)
        -> Cell
    {
        let scenario = LabScenario(a, b).losing(loss)
        var play = PunchPlay(scenario, transport, tactic)
        play.tellsSteps = false
        var durations: [Duration] = []
        for number in 0..<seedCount {
            if let duration = try play.run(seed: LabSeed(firstSeed &+ UInt64(number))).duration {
                durations.append(duration)
            }
        }
        return Cell(
            a: a,
            b: b,
            playCount: seedCount,
            durations: durations.sorted(),
            verdict: Oracle(scenario).verdict(transport)
        )
    }
}
