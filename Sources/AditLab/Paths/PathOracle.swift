// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
internal import AditTraversal

/// What theory expects of two devices that use all they have.
package struct PathForecast: Sendable, Hashable {
    /// How likely a direct path is, 0 to 1; nil where it depends on times that theory does not know.
    package var chance: Double?
    /// Whether the plain punch or something simpler makes it, so that it takes a few round trips only.
    package var isPlain: Bool
    /// Words of reasons, one of which is right when the path is direct; empty for any.
    package var directWords: Set<String>
    /// Words of reasons, one of which is right when the path is relayed.
    package var relayedWords: Set<String>
    /// How long the direct path may take to come without loss.
    package var limit: Duration

    /// Whether the path must be direct.
    package var isCertain: Bool { chance == 1 }
    /// Whether the path must be relayed.
    package var isImpossible: Bool { chance == 0 }
}

/// Says from theory alone how a play of paths will end, over all transports and tactics together.
///
/// Like ``Oracle``, on which it is built, it knows no packet and no clock.
package struct PathOracle: Sendable {
    /// How long a search by prediction, window or birthday may take, from the beginning.
    package static let searchLimit = Duration.seconds(12)

    let scenario: PathScenario

    /// An oracle for two devices.
    package init(_ scenario: PathScenario) {
        self.scenario = scenario
    }

    /// How long a plain direct path may take: three round trips and 50 ms.
    private var plainLimit: Duration { scenario.roundTrip * 3 + .milliseconds(50) }

    /// What theory expects.
    package var forecast: PathForecast {
        let relayed = relayedWords
        if SiteName.allCases.contains(where: { scenario.policy(of: $0) == .relayOnly }) {
            return PathForecast(
                chance: 0,
                isPlain: true,
                directWords: [],
                relayedWords: ["relay-only"],
                limit: plainLimit
            )
        }
        if let simple = simpleWords {
            return PathForecast(
                chance: 1,
                isPlain: true,
                directWords: simple,
                relayedWords: relayed,
                limit: plainLimit
            )
        }
        let udp = Oracle(scenario.base).verdict(.udp)
        let tcp = Oracle(scenario.base).verdict(.tcp)
        if udp.plain.outlook == .certain {
            return PathForecast(chance: 1, isPlain: true, directWords: [], relayedWords: relayed, limit: plainLimit)
        }
        var chance: Double? = udp.plain.outlook.probability
        if scenario.tactics.contains(.tcp), tcp.plain.outlook == .certain || opensTCPPort {
            // TCP is tried after UDP had its time, unless UDP is known not to leave.
            return PathForecast(
                chance: 1,
                isPlain: false,
                directWords: [],
                relayedWords: relayed,
                limit: plainLimit + .seconds(2)
            )
        }
        for (verdict, isTCP) in [(udp, false), (tcp, true)] {
            for forecast in verdict.others where allows(forecast.tactic, isTCP: isTCP) {
                guard let one = forecast.outlook.probability, let other = chance else {
                    chance = nil
                    continue
                }
                // No search is certain: it has a budget, and packets are lost.
                chance = max(min(one, 0.98), other)
            }
        }
        return PathForecast(
            chance: chance,
            isPlain: false,
            directWords: [],
            relayedWords: relayed,
            limit: Self.searchLimit
        )
    }

    /// What needs no hole at all: a network of both, IPv6 on both sides, a port that a router opens.
    private var simpleWords: Set<String>? {
        let base = scenario.base
        if base.neighbourhood == .sameRouter { return ["same-network"] }
        guard base.neighbourhood == .apart else { return nil }
        if scenario.ipv6 == [.a, .b], base.a.carrier == nil, base.b.carrier == nil { return ["ipv6"] }
        let passes = SiteName.allCases.allSatisfy { SiteTheory(base.boxes(of: $0), .udp).passage == .free }
        for site in scenario.openers where passes && base.boxes(of: site).count == 1 {
            // What the peer's NAT makes of it does not matter: the port takes in everybody.
            if base.boxes(of: site)[0].udp.nat != nil { return ["port-mapping", "punched", "learnt-port"] }
        }
        return nil
    }

    /// Whether a router opens a port for TCP, which takes in everybody.
    private var opensTCPPort: Bool {
        let base = scenario.base
        guard base.neighbourhood == .apart,
            SiteName.allCases.allSatisfy({ SiteTheory(base.boxes(of: $0), .tcp).passage == .free })
        else { return false }
        return scenario.openers.contains { base.boxes(of: $0).count == 1 && base.boxes(of: $0)[0].tcp.nat != nil }
    }

    private func allows(_ tactic: Tactic, isTCP: Bool) -> Bool {
        guard scenario.quiet.isEmpty else { return false }
        switch tactic {
        case .localNetwork, .plain: return true
        case .prediction: return scenario.tactics.contains(.prediction) && (!isTCP || scenario.tactics.contains(.tcp))
        case .sequenceWindow: return scenario.tactics.contains(.window) && (!isTCP || scenario.tactics.contains(.tcp))
        case .birthday: return scenario.tactics.contains(.birthday) && !isTCP
        case .mutualBirthday, .sequenceAgainstRandom: return scenario.tactics.contains(.block) && !isTCP
        case .portMapping, .relay: return false
        }
    }

    private var relayedWords: Set<String> {
        let base = scenario.base
        let (a, b) = (base.boxes(of: .a), base.boxes(of: .b))
        let udp = (SiteTheory(a, .udp), SiteTheory(b, .udp))
        let tcp = (SiteTheory(a, .tcp), SiteTheory(b, .tcp))
        if udp.0.passage != .free && tcp.0.passage != .free || udp.1.passage != .free && tcp.1.passage != .free {
            return ["only-web"]
        }
        if base.neighbourhood == .sameCarrier, !base.sharedCarrier.hasHairpin { return ["no-hairpin"] }
        if udp.0.passage != .free || udp.1.passage != .free {
            return tcp.0.isDependent || tcp.1.isDependent ? ["udp-blocked-tcp-symmetric"] : ["no-answer"]
        }
        guard scenario.knowsNAT else { return ["symmetric-meets-strict", "both-symmetric", "no-answer"] }
        switch (udp.0.isDependent, udp.1.isDependent) {
        case (true, true): return ["both-symmetric"]
        case (true, false), (false, true): return ["symmetric-meets-strict"]
        case (false, false): return ["no-answer"]
        }
    }
}
