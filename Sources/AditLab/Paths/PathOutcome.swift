// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// How one device fared in a play of paths.
package struct PathSideOutcome: Sendable, Hashable {
    /// What it knows of the path at the end; nil when it never looked for one.
    package var report: PathReport?
    /// When a relayed path was first there.
    package var relayedAt: Duration?
    /// When a direct path was first there.
    package var directAt: Duration?
    /// When the first byte of the peer's data arrived.
    package var firstByteAt: Duration?
    /// When data first arrived that was sent after the peer had a direct path.
    package var directByteAt: Duration?
    /// Why it gave up; nil when it did not.
    package var failure: PathFailure?
    /// Packets that its host had sent when the play was decided.
    package var packetCount = 0
    /// The most flows that its outermost box knew, of UDP and TCP together, when the play was decided.
    package var flowCount = 0
    /// Its steps; empty unless they were asked for.
    package var traces: [PathTrace] = []

    /// Makes a side to which nothing has happened.
    package init() {}
}

/// How a play of paths ended.
package struct PathOutcome: Sendable, Hashable {
    /// What was played.
    package var scenario: PathScenario
    /// The number that repeats it.
    package var seed: LabSeed
    /// Both devices.
    package var sides: [SiteName: PathSideOutcome]
    /// How many messages were passed between the devices.
    package var signalCount = 0
    /// How many packets came to hosts that take no part.
    package var strangerPackets = 0

    /// How packets go at the end, as A sees it; `none` unless both ends agree.
    package var kind: PathKind {
        guard let a = sides[.a]?.report, let b = sides[.b]?.report else { return .none }
        switch (a.kind, b.kind) {
        case (.relayed, .relayed): return a.kind
        case (.direct(let one), .direct(let other)) where one == other: return a.kind
        default: return .none
        }
    }

    /// Why, as A says it.
    package var reason: PathReason? { sides[.a]?.report?.reason }

    /// The sentence as each end tells it; equal when both tell the same.
    package var sentences: [Text] {
        SiteName.allCases.compactMap { site in
            sides[site]?.report?.sentence(local: site.rawValue, remote: site.other.rawValue)
        }
    }

    /// Whether both ends tell the same sentence.
    package var isAgreed: Bool { sentences.count == 2 && sentences[0] == sentences[1] }

    /// When both ends had a path, relayed or direct.
    package var timeToPath: Duration? {
        latest { [$0.relayedAt, $0.directAt].compactMap(\.self).min() }
    }

    /// When both ends had a direct path.
    package var timeToDirect: Duration? { latest(\.directAt) }

    /// When the first byte from A had arrived at B.
    package var timeToFirstByte: Duration? { sides[.b]?.firstByteAt }

    /// A time in round trips between the two sites.
    package func roundTrips(_ time: Duration) -> Double {
        time.inSeconds / max(scenario.roundTrip.inSeconds, 1e-9)
    }

    /// Packets that both hosts sent.
    package var packetCount: Int { sides.values.reduce(0) { $0 + $1.packetCount } }

    private func latest(_ time: (PathSideOutcome) -> Duration?) -> Duration? {
        let times = SiteName.allCases.compactMap { sides[$0].flatMap(time) }
        return times.count == 2 ? times.max() : nil
    }
}
