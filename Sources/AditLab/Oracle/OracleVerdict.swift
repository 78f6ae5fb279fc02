// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A way of getting a direct path.
package enum Tactic: Sendable, Hashable {
    /// Both are in one network and use their addresses there.
    case localNetwork
    /// Both send to the address that the server saw, at the same time; over TCP both connect (simultaneous open).
    case plain
    /// One side's next port is guessed: so many ports in a row are tried.
    case prediction(window: Int)
    /// Both sides' next ports are guessed: so many sockets each, all sending to the middle of the other's range.
    case sequenceWindow(sockets: Int)
    /// One side opens so many ports, the other tries so many at random.
    case birthday(sockets: Int, probes: Int)
    /// Both sides open so many ports in small blocks, and each guesses at random.
    case mutualBirthday(sockets: Int)
    /// One side's next port is known, the other opens so many ports in a small block.
    case sequenceAgainstRandom(sockets: Int)
    /// A router is asked for a port (PCP, NAT-PMP, UPnP).
    case portMapping
    /// A server carries everything.
    case relay
}

/// How a tactic will end, as far as theory can tell.
package enum Outlook: Sendable, Hashable {
    /// It succeeds, whatever the dice say.
    case certain
    /// It succeeds with this probability, 0 to 1.
    case chance(Double)
    /// It succeeds or not, depending on times that theory does not know.
    case timing
    /// It cannot succeed.
    case never

    /// The probability; nil where it is unknown.
    package var probability: Double? {
        switch self {
        case .certain: 1
        case .chance(let probability): probability
        case .timing: nil
        case .never: 0
        }
    }
}

/// What one tactic promises and costs.
package struct TacticForecast: Sendable, Hashable {
    /// The tactic.
    package var tactic: Tactic
    /// How it will end.
    package var outlook: Outlook
    /// About how many packets both sides send for it.
    package var packets: Int
    /// Why.
    package var reason: Text
}

/// What theory says about two sites and one transport.
package struct OracleVerdict: Sendable, Hashable {
    /// The transport.
    package var transport: PunchTransport
    /// How the plain punch will end: host addresses in one network, else simultaneous packets.
    package var plain: TacticForecast
    /// What else may be tried where the plain punch is not certain, the most promising first; never empty, because a
    /// relay always is.
    package var others: [TacticForecast]

    /// The tactic to take: the plain one where it may work, else the best that has at least one chance in ten.
    package var best: TacticForecast {
        if plain.outlook != .never { return plain }
        return others.first { ($0.outlook.probability ?? 0) >= 0.1 && $0.tactic != .portMapping }
            ?? TacticForecast(tactic: .relay, outlook: .certain, packets: 0, reason: plain.reason)
    }

    /// Whether a direct path is possible with something that needs no router's help.
    package var isDirectPossible: Bool { best.tactic != .relay }
}
