// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// Plays every ordered pair of NAT kinds with two path finders, and compares each play with theory: the path, the sentence on
/// both ends, the time.
///
/// The pairs are numbered, so that several threads share the work without knowing of each other.
package struct PathGrid: Sendable {
    /// What a play did otherwise than it should.
    package enum Fault: String, Sendable, Hashable, CaseIterable {
        /// There is no path at all.
        case noPath = "no path"
        /// It is relayed and should be direct.
        case notDirect = "not direct"
        /// It is direct and should not be.
        case notRelayed = "not relayed"
        /// The two ends tell different sentences.
        case disagreement = "two sentences"
        /// The reason is another one.
        case wrongReason = "wrong reason"
        /// The direct path came too late.
        case late = "late"
        /// A search succeeds less often than it should.
        case unlucky = "too seldom"
        /// A device sent more packets, or its router knew more flows, than the budget allows.
        case overBudget = "over budget"
    }

    /// A play that did otherwise.
    package struct Finding: Sendable, Hashable {
        /// Site A.
        package var a: SiteSpecification
        /// Site B.
        package var b: SiteSpecification
        /// The number that repeats the play.
        package var seed: LabSeed
        /// The share of packets that were lost.
        package var loss: Double
        /// What is wrong.
        package var fault: Fault
        /// What was seen instead, for people.
        package var what: String
    }

    /// What came of plays.
    package struct Tally: Sendable, Hashable {
        /// How many plays there were.
        package var playCount = 0
        /// How many ended with a direct path.
        package var directCount = 0
        /// How many ended with a relayed path.
        package var relayedCount = 0
        /// How many of them searched for ports, with a chance that theory knows.
        package var searchCount = 0
        /// How many of those found a direct path, and how many theory expects.
        package var foundCount = 0
        /// The sum of the chances.
        package var expectedCount = 0.0
        /// How many things were wrong.
        package var faultCount = 0
        /// The first of them.
        package var findings: [Finding] = []
        /// Times to the direct path of plain pairs without loss, in microseconds.
        package var plainTimes: [Int64] = []

        /// Makes an empty tally.
        package init() {}

        /// Adds another one.
        package mutating func add(_ other: Tally) {
            playCount += other.playCount
            directCount += other.directCount
            relayedCount += other.relayedCount
            searchCount += other.searchCount
            foundCount += other.foundCount
            expectedCount += other.expectedCount
            faultCount += other.faultCount
            findings = Array((findings + other.findings).prefix(Self.kept))
            plainTimes += other.plainTimes
        }

        fileprivate mutating func add(_ finding: Finding) {
            faultCount += 1
            if findings.count < Self.kept { findings.append(finding) }
        }

        private static let kept = 40
    }

    /// The kinds of sites.
    package var sites = NATRule.grid.map { SiteSpecification($0) }
    /// The seeds of pairs whose path is direct by the plain punch; they are shared out over the losses.
    package var seeds: ClosedRange<UInt64>
    /// How many of the seeds the other pairs are played with, whose plays are long.
    package var searchSeedCount: Int
    /// The shares of packets that are lost between two places, 0 to 1.
    package var losses: [Double]

    /// How many packets a device may send for one search, of all kinds (the budget allows 1 200 probes and as many flows, and
    /// the rest is what ICE, TURN and the sampling take).
    package static let packetLimit = 3000
    /// How many flows a device's router may know because of it.
    package static let flowLimit = 1400

    /// Makes a grid of every kind.
    package init(seeds: ClosedRange<UInt64>, searchSeedCount: Int = 4, losses: [Double] = [0, 0.01, 0.02, 0.05]) {
        self.seeds = seeds
        self.searchSeedCount = searchSeedCount
        self.losses = losses
    }

    /// How many ordered pairs there are.
    package var pairCount: Int { sites.count * sites.count }

    /// Plays one pair with every seed; the n-th seed goes with the n-th loss, round and round.
    package func play(pair: Int) throws(LabFailure) -> Tally {
        var tally = Tally()
        let (a, b) = (sites[pair / sites.count], sites[pair % sites.count])
        let base = PathScenario(LabScenario(a, b))
        let forecast = PathOracle(base).forecast
        let own =
            forecast.isPlain
            ? seeds.upperBound : min(seeds.upperBound, seeds.lowerBound + UInt64(max(0, searchSeedCount - 1)))
        for (number, seed) in (seeds.lowerBound...own).enumerated() {
            // Pairs begin with different losses, so that few seeds see all of them.
            let loss = losses[(number + pair) % losses.count]
            let outcome = try PathPlay(base.losing(loss)).run(seed: LabSeed(seed))
            judge(outcome, forecast, &tally)
        }
        return tally
    }

    /// Compares a play with theory.
    package func judge(_ outcome: PathOutcome, _ forecast: PathForecast, _ tally: inout Tally) {
        let base = outcome.scenario.base
        func fault(_ fault: Fault, _ what: String) {
            tally.add(Finding(a: base.a, b: base.b, seed: outcome.seed, loss: base.loss, fault: fault, what: what))
        }
        tally.playCount += 1
        if !forecast.isCertain, !forecast.isImpossible, let chance = forecast.chance {
            tally.searchCount += 1
            tally.expectedCount += chance
            if outcome.kind.isDirect { tally.foundCount += 1 }
        }
        let word = outcome.reason?.word ?? "none"
        switch outcome.kind {
        case .none:
            let kinds = SiteName.allCases.map { "\($0.rawValue): \(outcome.sides[$0]?.report?.kind ?? .none)" }
            return fault(.noPath, kinds.joined(separator: ", "))
        case .direct:
            tally.directCount += 1
            if forecast.isImpossible { fault(.notRelayed, word) }
            if !forecast.directWords.isEmpty, !forecast.directWords.contains(word) { fault(.wrongReason, word) }
            if let time = outcome.timeToDirect {
                if forecast.isPlain, base.loss == 0 { tally.plainTimes.append(time.wholeNanoseconds / 1000) }
                // What is lost is sent again: with loss only the search's own limit holds.
                let limit = base.loss == 0 ? forecast.limit : max(forecast.limit, PathOracle.searchLimit)
                if time > limit, forecast.chance != nil {
                    fault(.late, "\(time.wholeNanoseconds / 1_000_000) ms")
                }
            }
        case .relayed:
            tally.relayedCount += 1
            if forecast.isCertain { fault(.notDirect, word) }
            if !forecast.relayedWords.contains(word) { fault(.wrongReason, word) }
        }
        if !outcome.isAgreed { fault(.disagreement, outcome.sentences.map(\.english).joined(separator: " | ")) }
        for site in SiteName.allCases {
            guard let side = outcome.sides[site] else { continue }
            if side.packetCount > Self.packetLimit || side.flowCount > Self.flowLimit {
                fault(.overBudget, "\(site.rawValue): \(side.packetCount) packets, \(side.flowCount) flows")
            }
        }
    }

    /// Whether searches found as many paths as theory expects: at most three standard deviations of a coin fewer.
    package static func isFair(_ tally: Tally) -> Bool {
        guard tally.searchCount > 0 else { return true }
        let mean = tally.expectedCount / Double(tally.searchCount)
        let deviation = (Double(tally.searchCount) * mean * (1 - mean)).squareRoot()
        return Double(tally.foundCount) >= tally.expectedCount - 3 * deviation - 1
    }
}
