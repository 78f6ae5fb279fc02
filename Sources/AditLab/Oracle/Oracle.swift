// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// Says from theory alone whether two sites can have a direct path, how likely each tactic is, and why.
///
/// It knows nothing of the simulator: no packet, no queue, no clock. What it says and what a play in the lab shows are
/// therefore two answers to one question.
package struct Oracle: Sendable {
    /// How many ports in a row are tried for a sequence.
    package static let window = 60
    /// How many ports the side with random ones opens for the birthday tactic.
    package static let birthdaySockets = 256
    /// How many ports the other side tries.
    package static let birthdayProbes = 1024
    /// How many ports each side opens where both are random in small blocks.
    package static let mutualSockets = 1024
    /// The largest block that both sides' random ports are guessed in.
    static let smallBlock = 4096

    let scenario: LabScenario

    /// An oracle for two sites.
    package init(_ scenario: LabScenario) {
        self.scenario = scenario
    }

    /// What theory says about a transport.
    package func verdict(_ transport: PunchTransport) -> OracleVerdict {
        let isTurnedAround = scenario.neighbourhood == .sameCarrier
        let a = SiteTheory(scenario.boxes(of: .a), transport, isTurnedAround: isTurnedAround)
        let b = SiteTheory(scenario.boxes(of: .b), transport, isTurnedAround: isTurnedAround)
        let plain = plain(a, b, transport)
        if plain.outlook == .certain { return OracleVerdict(transport: transport, plain: plain, others: []) }
        return OracleVerdict(
            transport: transport,
            plain: plain,
            others: others(a, b, transport).sorted { ($0.outlook.probability ?? 0.5) > ($1.outlook.probability ?? 0.5) }
                + [relay]
        )
    }

    // MARK: The plain punch

    private func plain(_ a: SiteTheory, _ b: SiteTheory, _ transport: PunchTransport) -> TacticForecast {
        for (name, site) in [(SiteName.a, a), (.b, b)] {
            switch site.passage {
            case .blocked: return never(OracleWords.blocked(name, transport))
            case .web: return never(OracleWords.web(name))
            case .free: break
            }
        }
        if scenario.neighbourhood == .sameRouter {
            return TacticForecast(tactic: .localNetwork, outlook: .certain, packets: 8, reason: OracleWords.sameNetwork)
        }
        if scenario.neighbourhood == .sameCarrier, !scenario.sharedCarrier.hasHairpin {
            return never(OracleWords.noHairpin)
        }
        let (reaches, reason) = Self.meets(a, b)
        guard reaches else { return never(reason) }
        return TacticForecast(
            tactic: .plain,
            outlook: outlook(a, b, transport),
            packets: a.isDependent || b.isDependent ? 12 : 8,
            reason: reason
        )
    }

    /// Whether packets sent to the addresses that the server saw, and to those that packets come from, end in both
    /// directions being open.
    static func meets(_ a: SiteTheory, _ b: SiteTheory) -> (Bool, Text) {
        switch (a.isDependent, b.isDependent) {
        case (false, false): (true, OracleWords.bothKeepTheirPort)
        case (false, true): coneMeetsDependent(a, .a, b)
        case (true, false): coneMeetsDependent(b, .b, a)
        case (true, true) where a.admitsUnknownPort: (true, OracleWords.strangersEnter(.a))
        case (true, true) where b.admitsUnknownPort: (true, OracleWords.strangersEnter(.b))
        case (true, true): (false, OracleWords.bothTakeNewPorts)
        }
    }

    /// Either the dependent side's packet gets in at the cone, which learns the port from it, or the cone's packet gets in
    /// at the endpoint that the server saw, through which the answer leaves.
    private static func coneMeetsDependent(
        _ cone: SiteTheory,
        _ name: SiteName,
        _ dependent: SiteTheory
    ) -> (Bool, Text) {
        if cone.admitsUnknownPort {
            return (true, OracleWords.coneLearns(cone: name, dependent: name.other, isOpen: cone.admitsAnyAddress))
        }
        if dependent.admitsUnknownPort { return (true, OracleWords.strangersEnter(name.other)) }
        return (false, OracleWords.coneIsClosed(cone: name, dependent: name.other))
    }

    private func outlook(_ a: SiteTheory, _ b: SiteTheory, _ transport: PunchTransport) -> Outlook {
        if a.isCramped || b.isCramped { return .timing }
        if a.takesForItself || b.takesForItself {
            // What comes before the site's own first packet ends at the router, which then keeps the endpoints for itself.
            if scenario.loss > 0 || scenario.lateness + scenario.jitter >= scenario.latency { return .timing }
        }
        // A new flow may come from another address of the pool, which only a NAT that takes in everybody accepts.
        var probability = 1.0
        if a.isDependent, !b.admitsAnyAddress { probability /= Double(a.poolSize) }
        if b.isDependent, !a.admitsAnyAddress { probability /= Double(b.poolSize) }
        return probability == 1 ? .certain : .chance(probability)
    }

    private func never(_ reason: Text) -> TacticForecast {
        TacticForecast(tactic: .plain, outlook: .never, packets: 50, reason: reason)
    }

    private var relay: TacticForecast {
        TacticForecast(tactic: .relay, outlook: .certain, packets: 0, reason: OracleWords.relay)
    }
}
