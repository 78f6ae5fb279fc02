// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// How much a search may cost, and who may search when: one search at a time in a process, with growing pauses between those for
/// one peer.
///
/// It belongs to whoever runs the searches of all peers.
package struct PunchBudget<Peer: Hashable & Sendable>: Sendable {
    /// Why a search may not begin.
    package enum Refusal: Sendable, Hashable {
        /// The user wants none, or pays for each byte.
        case quiet
        /// Another one is under way.
        case busy
        /// The last one for the peer found nothing; the next may begin then.
        case resting(until: Instant)
    }

    /// How many peers' pauses are remembered; beyond, the one that ends first is forgotten.
    package static var peerLimit: Int { 1024 }

    private struct Rest: Sendable {
        var until: Instant
        var pause: Duration
    }

    /// What one search may cost.
    package let limits: PunchLimits
    /// Whether no search may begin.
    package var isQuiet: Bool
    /// Whose search is under way.
    package private(set) var current: Peer?

    private var rests: [Peer: Rest] = [:]

    /// Makes a budget.
    package init(limits: PunchLimits = PunchLimits(), isQuiet: Bool = false) {
        self.limits = limits
        self.isQuiet = isQuiet
    }

    /// Asks for a search; nil when it may begin, and then it has begun.
    package mutating func begin(_ peer: Peer, at now: Instant) -> Refusal? {
        if isQuiet { return .quiet }
        if current != nil { return .busy }
        if let rest = rests[peer], rest.until > now { return .resting(until: rest.until) }
        current = peer
        return nil
    }

    /// The search is over; where it found nothing, the next one of the peer has to wait, twice as long each time.
    package mutating func end(found: Bool, at now: Instant) {
        guard let peer = current else { return }
        current = nil
        guard !found else {
            rests[peer] = nil
            return
        }
        let pause = rests[peer].map { min($0.pause * 2, limits.longestPause) } ?? limits.firstPause
        if rests[peer] == nil, rests.count >= Self.peerLimit,
            let first = rests.min(by: { $0.value.until < $1.value.until })?.key
        {
            rests[first] = nil
        }
        rests[peer] = Rest(until: now + pause, pause: pause)
    }

    /// The network is another one: all that was found out is worth nothing.
    package mutating func networkChanged() {
        rests.removeAll()
    }

    /// The peer's network is another one.
    package mutating func networkChanged(of peer: Peer) {
        rests[peer] = nil
    }
}

/// What one search may cost at most.
package struct PunchLimits: Sendable, Hashable {
    /// Sockets open at once.
    package var sockets = 256
    /// Packets sent in any second.
    package var packetsPerSecond = 100
    /// Flows opened at the own NAT: pairs of a socket and an endpoint sent to.
    package var flows = 1200
    /// From beginning to end.
    package var duration = Duration.seconds(20)
    /// The pause after the first search that found nothing.
    package var firstPause = Duration.seconds(60)
    /// The longest pause.
    package var longestPause = Duration.seconds(600)

    /// Makes the limits of the design.
    package init() {}
}
