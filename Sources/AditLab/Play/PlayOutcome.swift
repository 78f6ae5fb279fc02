// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One thing that happened in a play, for people.
package struct PlayStep: Sendable, Hashable {
    /// When, counted from the beginning.
    package var at: Duration
    /// Whether a packet ended there.
    package var isDrop = false
    /// What.
    package var words: Text
}

/// Packets of one kind that ended at one place.
package struct PlayDrop: Sendable, Hashable {
    /// When the first one did.
    package var at: Duration
    /// The name of the box or host.
    package var node: String
    /// Why.
    package var reason: LabDropReason
    /// The site whose box or host that is; nil for what both share.
    package var site: SiteName?
    /// From where, as the box saw it; the first one where they came from several ports.
    package var source: IPEndpoint
    /// To where, as the box saw it.
    package var destination: IPEndpoint
    /// How many.
    package var count: Int
    /// From how many ports.
    package var portCount = 1
}

/// How one side ended.
package struct PlaySide: Sendable, Hashable {
    /// How the server saw it; nil when it never did.
    package var seen: IPEndpoint?
    /// Where it is bound.
    package var local: IPEndpoint?
    /// To which of the peer's addresses it was told to send.
    package var targets: [IPEndpoint] = []
    /// When it began to send to the peer.
    package var beganAt: Duration?
    /// The peer's address that works; nil when none does.
    package var path: IPEndpoint?
    /// When it knew that.
    package var connectedAt: Duration?
    /// Why it gave up; nil when it did not.
    package var failure: PunchFailure?
    /// How often a connection attempt was refused and made again.
    package var retryCount = 0
    /// How many packets it spent on a search, or how many connections of TCP it began.
    package var packetCount = 0

    /// Makes a side to which nothing has happened yet.
    package init() {}
}

/// How a play ended.
package struct PlayOutcome: Sendable, Hashable {
    /// What was played.
    package var scenario: LabScenario
    /// Over which transport.
    package var transport: PunchTransport
    /// How the hosts tried.
    package var tactic = PlayTactic.plain
    /// The number that repeats it.
    package var seed: LabSeed
    /// Both sides.
    package var sides: [SiteName: PlaySide]
    /// What happened, in order; empty unless it was asked for.
    package var steps: [PlayStep] = []
    /// Which packets between the two sites ended on their way; empty unless it was asked for.
    package var drops: [PlayDrop] = []

    /// Whether both sides know that both directions work.
    package var isConnected: Bool { SiteName.allCases.allSatisfy { sides[$0]?.connectedAt != nil } }

    /// From the first packet to the peer until both sides knew that both directions work; nil when they never did.
    package var duration: Duration? {
        let ends = sides.values.compactMap(\.connectedAt)
        guard ends.count == 2, let end = ends.max(), let start = sides.values.compactMap(\.beganAt).min() else {
            return nil
        }
        return end - start
    }

    /// The same in round trips between the two sites.
    package var roundTrips: Double? {
        duration.map { $0.inSeconds / max(2 * scenario.latency.inSeconds, 1e-9) }
    }
}
