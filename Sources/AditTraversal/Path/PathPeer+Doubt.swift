// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

// A path may end without a word: a NAT forgets it, a cable is pulled. What payload shows is known long before checks have shown
// it, and while it is in doubt everything goes another way too: through the relay, or through the peer's relay.

/// Whether what is sent on the path in use arrives, by what comes back.
struct PathDoubt: Sendable {
    /// When payload was first sent after the last that came; nil while the last word is the peer's.
    var askedAt: Instant?
    /// When payload last came on the path in use; nil before the first.
    var heardAt: Instant?
    /// Until when a path is new that payload has not come on.
    var newUntil: Instant?
    /// When payload last came another way: the peer is in doubt itself, and one direction may be all that is broken.
    var strayedAt: Instant?
    /// When the path, and what stands by, was last asked whether it answers.
    var lookedAt: Instant?
    /// When it was asked last whether bases still work.
    var suspectedAt: [ICEBaseID: Instant] = [:]
}

extension PathPeer {
    /// After so long without an answer to payload the path is in doubt, or three round trips when they are longer.
    static let doubtAfter = Duration.milliseconds(400)
    /// The longest that round trips make of it.
    static let doubtLimit = Duration.milliseconds(1500)
    /// So long payload goes through the relay too after a change to a direct path, unless payload comes on that before.
    static let newTime = Duration.seconds(2)
    /// So long the peer's doubt counts, and so long an answer to a check counts for more, or three round trips: longer, so that
    /// two doubts do not keep each other alive.
    private static let strayTime = Duration.milliseconds(300)
    private static let answerTime = Duration.milliseconds(500)
    /// Where checks have not been answered for so long, whatever the reason, payload has to ask first.
    private static let staleAfter = Duration.seconds(6)

    /// Payload is about to be sent: whether it may not arrive, so that it is to go another way too.
    mutating func mayBeLost(at now: Instant) -> Bool {
        guard selected != nil else { return false }
        doubt.askedAt = doubt.askedAt ?? now
        if let until = doubt.newUntil, now >= until { doubt.newUntil = nil }
        return isInDoubt(at: now)
    }

    /// Whether what is sent now on the path in use may not arrive.
    func isInDoubt(at now: Instant) -> Bool {
        if let until = doubt.newUntil, now < until { return true }
        let askedAt = doubt.askedAt ?? now
        let answeredAt = agent.selectedAnswerAt
        let patience = min(max(Self.doubtAfter, (selected?.roundTrip ?? .zero) * 3), Self.doubtLimit)
        if now - max(askedAt, answeredAt ?? askedAt) > patience { return true }
        // What comes says nothing of what goes.
        if let since = agent.selectedUnansweredSince, now - since > patience { return true }
        guard let answeredAt else { return false }
        let isSure = now - answeredAt <= max(Self.answerTime, (selected?.roundTrip ?? .zero) * 3)
        if let strayedAt = doubt.strayedAt, now - strayedAt < Self.strayTime, !isSure { return true }
        return now - max(answeredAt, doubt.heardAt ?? answeredAt) > Self.staleAfter
    }

    /// Looks whether the path answers, and says where else payload may go, and whether that is sure; nil for nowhere.
    mutating func otherWay(at now: Instant) -> (way: ICEBaseEndpoint, isSure: Bool)? {
        let isLookedAt = doubt.lookedAt.map { now - $0 < Self.lookPause } ?? false
        if doubt.newUntil == nil, agent.selectedUnansweredSince == nil || !isLookedAt {
            doubt.lookedAt = now
            handleAgent(.doubt, at: now)
        }
        suspectSilent(at: now)
        guard let way, let other = agent.otherWay(at: now), other.way != way else { return nil }
        return other
    }

    /// A base's NAT may have forgotten it, and then gives it another port; a relay may have forgotten this machine.
    mutating func suspect(_ base: ICEBaseID, at now: Instant) {
        guard base.number < Self.firstOwnBase else { return }
        if let suspectedAt = doubt.suspectedAt[base], now - suspectedAt < Self.suspicionPause { return }
        // Of bases that are gone nothing is heard any more.
        doubt.suspectedAt = doubt.suspectedAt.filter { now - $0.value < Self.suspicionPause }
        doubt.suspectedAt[base] = now
        output(.suspects(base))
    }

    /// The path does not answer, and what stands by may have died with it.
    private mutating func suspectSilent(at now: Instant) {
        if let way, agent.selectedUnansweredSince != nil { suspect(way.base, at: now) }
        for base in agent.silentStandbys(for: Self.standbySilence, at: now) { suspect(base, at: now) }
    }

    /// What stands by is asked no more often, beside what is asked of it anyway.
    private static let lookPause = Duration.seconds(1)
    private static let standbySilence = Duration.milliseconds(300)

    /// It is asked no more often whether a base still works.
    private static let suspicionPause = Duration.seconds(2)

    /// Payload came; from whom.
    @discardableResult
    mutating func heard(on way: ICEBaseEndpoint, at now: Instant) -> PathPeerID {
        guard way == self.way else {
            doubt.strayedAt = now
            noteAlive(way)
            return id
        }
        doubt.askedAt = nil
        doubt.heardAt = now
        doubt.newUntil = nil
        agent.payloadAt = now
        return id
    }

    /// Another path is in use.
    mutating func renewDoubt(at now: Instant) {
        doubt = PathDoubt(newUntil: isDirect ? now + Self.newTime : nil, suspectedAt: doubt.suspectedAt)
    }
}
