// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

extension Oracle {
    /// What can be tried where the plain punch is not certain.
    func others(_ a: SiteTheory, _ b: SiteTheory, _ transport: PunchTransport) -> [TacticForecast] {
        var forecasts: [TacticForecast] = []
        guard a.passage == .free, b.passage == .free else { return forecasts }
        if scenario.neighbourhood == .apart || scenario.sharedCarrier.hasHairpin, !Self.meets(a, b).0 {
            switch (a.isDependent, b.isDependent) {
            case (false, true): forecasts.append(guess(b, .b, seekerRefuses: a.refuses, transport))
            case (true, false): forecasts.append(guess(a, .a, seekerRefuses: b.refuses, transport))
            case (true, true): if let both = guessBoth(a, b, transport) { forecasts.append(both) }
            case (false, false): break
            }
        }
        if let mapping { forecasts.append(mapping) }
        return forecasts
    }

    /// The seconds between a sample of a NAT's ports and the punch: two round trips and a half.
    private var delay: Double { scenario.latency.inSeconds * 5 }

    /// A cone that tries the ports of a dependent side.
    private func guess(
        _ site: SiteTheory,
        _ name: SiteName,
        seekerRefuses: Bool,
        _ transport: PunchTransport
    ) -> TacticForecast {
        let isRefused = transport == .tcp && (site.refuses || seekerRefuses)
        if case .sequential = site.allocation {
            let chance = Chances.prediction(window: Self.window, rate: scenario.foreignFlows, delay: delay)
            return TacticForecast(
                tactic: .prediction(window: Self.window),
                // A refused SYN ends its socket, so that both bursts must cross.
                outlook: isRefused ? .timing : Self.outlook(chance),
                packets: Self.window + 10,
                reason: OracleWords.prediction(name, window: Self.window, rate: scenario.foreignFlows)
            )
        }
        let ports = site.portCount
        let sockets = min(Self.birthdaySockets, ports)
        let probes = min(Self.birthdayProbes, ports)
        let chance = isRefused ? 0 : Chances.birthday(sockets: sockets, probes: probes, ports: ports)
        return TacticForecast(
            tactic: .birthday(sockets: sockets, probes: probes),
            outlook: Self.outlook(chance),
            packets: sockets + probes,
            reason: isRefused
                ? OracleWords.birthdayRefused
                : OracleWords.birthday(name, sockets: sockets, probes: probes, ports: ports)
        )
    }

    /// Two dependent sides.
    private func guessBoth(_ a: SiteTheory, _ b: SiteTheory, _ transport: PunchTransport) -> TacticForecast? {
        let isRefused = transport == .tcp && (a.refuses || b.refuses)
        switch (a.isSequential, b.isSequential) {
        case (true, true):
            let rates = (scenario.foreignFlows, scenario.foreignFlows)
            let chance = Chances.sequenceWindow(sockets: Self.window, rates: rates, delay: delay)
            return TacticForecast(
                tactic: .sequenceWindow(sockets: Self.window),
                outlook: isRefused ? .timing : Self.outlook(chance),
                packets: 2 * Self.window,
                reason: OracleWords.sequenceWindow(sockets: Self.window, rate: scenario.foreignFlows)
            )
        case (true, false), (false, true):
            let random = a.isSequential ? b : a
            guard random.portCount <= Self.smallBlock, !isRefused else { return nil }
            let sockets = min(Self.mutualSockets, random.portCount)
            let chance = Chances.sequenceAgainstRandom(sockets: sockets, window: 1, ports: random.portCount)
            return TacticForecast(
                tactic: .sequenceAgainstRandom(sockets: sockets),
                outlook: Self.outlook(chance),
                packets: 2 * sockets,
                reason: OracleWords.sequenceAgainstRandom(a.isSequential ? .b : .a, sockets, random.portCount)
            )
        case (false, false):
            guard max(a.portCount, b.portCount) <= Self.smallBlock, !isRefused else { return nil }
            let sockets = min(Self.mutualSockets, a.portCount, b.portCount)
            let chance = Chances.mutualBirthday(sockets: sockets, ports: a.portCount, otherPorts: b.portCount)
            return TacticForecast(
                tactic: .mutualBirthday(sockets: sockets),
                outlook: Self.outlook(chance),
                packets: 2 * sockets,
                reason: OracleWords.mutualBirthday(sockets, a.portCount, b.portCount)
            )
        }
    }

    /// A router's port helps where its public address is the internet's.
    private var mapping: TacticForecast? {
        guard scenario.neighbourhood == .apart else { return nil }
        let able = [(SiteName.a, scenario.a), (.b, scenario.b)].filter {
            $0.1.carrier == nil && $0.1.router.udp.nat != nil
        }
        guard !able.isEmpty else { return nil }
        return TacticForecast(
            tactic: .portMapping,
            outlook: .timing,
            packets: 2,
            reason: OracleWords.portMapping(able.map(\.0))
        )
    }

    private static func outlook(_ chance: Double) -> Outlook {
        chance <= 0 ? .never : .chance(chance)
    }
}

extension SiteTheory {
    /// How many ports a new flow may get.
    var portCount: Int {
        if case .block(let range) = allocation { return range.count }
        return Chances.allPorts
    }

    /// Whether the next port follows from the last one.
    var isSequential: Bool {
        if case .sequential = allocation { return true }
        return false
    }
}
