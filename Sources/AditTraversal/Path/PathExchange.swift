// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Keeps the descriptions of two ends in step, over a channel that loses, repeats and delays.
///
/// There is only one message that matters, the newest description; it is sent again until it is acknowledged or replaced.
struct PathExchange: Sendable {
    /// What an arriving signal meant.
    enum Arrival {
        /// Nothing new.
        case nothing
        /// The peer described itself anew.
        case description(PathDescription, isNewSession: Bool)
        /// The peer does not look for a path any longer.
        case ended
    }

    /// So many earlier sessions of the peer are remembered, so that a late signal does not begin them anew.
    private static let formerLimit = 8

    private let session: UInt64
    private(set) var peerSession: UInt64 = 0
    private var formerSessions: [UInt64] = []
    private var described: PathDescription?
    private var revision: UInt32 = 0
    /// The revision in which the present credentials were told first.
    private var credentialsRevision: UInt32 = 0
    /// The newest own revision that the peer has.
    private var acknowledged: UInt32 = 0
    /// The newest revision of the peer's.
    private var seen: UInt32 = 0
    private var owesWord = false
    /// When descriptions that are not acknowledged were sent, those that were sent once.
    private var sent: [(revision: UInt32, at: Instant)] = []
    private var tries = 0
    private var retryAt: Instant?
    private let timing: PathTiming

    /// The shortest time from a description to its acknowledgement; nil before there was one.
    private(set) var roundTrip: Duration?
    /// Whether the newest description was sent as often as is allowed, and never acknowledged.
    private(set) var isUnanswered = false

    init(session: UInt64, timing: PathTiming) {
        self.session = max(session, 1)
        self.timing = timing
    }

    /// When `overdue(at:)` is to be asked; nil for never.
    var nextDeadline: Instant? { retryAt }

    /// Whether the peer has ever answered in its present session.
    var hasPeer: Bool { peerSession != 0 }

    /// The signal that tells the description, or that acknowledges the peer's; nil when there is nothing to say.
    mutating func tell(_ description: PathDescription, at now: Instant) -> PathSignal? {
        if description != described {
            revision &+= 1
            if description.credentials != described?.credentials { credentialsRevision = revision }
            described = description
            tries = 0
            isUnanswered = false
            return send(description, at: now)
        }
        guard owesWord else { return nil }
        if acknowledged < revision, retryAt == nil { return send(description, at: now) }
        owesWord = false
        return signal(.acknowledgement)
    }

    /// The description again when its acknowledgement is overdue.
    mutating func overdue(at now: Instant) -> PathSignal? {
        guard let retryAt, now >= retryAt, let described else { return nil }
        guard tries < timing.signalTries else {
            self.retryAt = nil
            isUnanswered = true
            return nil
        }
        return send(described, at: now)
    }

    /// Begins to send the newest description again, though nobody has answered.
    mutating func remind(at now: Instant) {
        guard described != nil else { return }
        tries = 0
        isUnanswered = false
        retryAt = now
    }

    /// The word that this end looks for a path no longer.
    func farewell() -> PathSignal { signal(.end) }

    /// Takes a signal.
    mutating func receive(_ signal: PathSignal, at now: Instant) -> Arrival {
        guard !formerSessions.contains(signal.session) else { return .nothing }
        if case .end = signal.content {
            guard signal.session == peerSession || peerSession == 0, signal.peerSession == session else {
                return .nothing
            }
            return .ended
        }
        let isNewSession = signal.session != peerSession
        if isNewSession {
            guard case .description = signal.content else { return .nothing }
            begin(signal, at: now)
        }
        if signal.peerSession == session { acknowledge(signal.acknowledged, at: now) }
        guard case .description(let description) = signal.content else { return .nothing }
        owesWord = true
        guard signal.revision > seen else { return .nothing }
        seen = signal.revision
        return .description(description, isNewSession: isNewSession)
    }

    /// Whether the peer has said that it knows these credentials of this end.
    func peerHas(_ credentials: ICECredentials) -> Bool {
        described?.credentials == credentials && acknowledged >= credentialsRevision
    }

    /// Whether a word is owed to the peer.
    var isDue: Bool { owesWord }

    private mutating func begin(_ signal: PathSignal, at now: Instant) {
        if peerSession != 0 {
            formerSessions.append(peerSession)
            if formerSessions.count > Self.formerLimit { formerSessions.removeFirst() }
            // It has forgotten what it was told.
            acknowledged = 0
            sent.removeAll()
            tries = 0
            isUnanswered = false
            if described != nil { retryAt = now }
        }
        peerSession = signal.session
        seen = 0
    }

    private mutating func acknowledge(_ number: UInt32, at now: Instant) {
        guard number <= revision, number > acknowledged else { return }
        acknowledged = number
        if let first = sent.first(where: { $0.revision == number }) {
            roundTrip = min(roundTrip ?? (now - first.at), now - first.at)
        }
        sent.removeAll { $0.revision <= number }
        guard number == revision else { return }
        retryAt = nil
        isUnanswered = false
    }

    private mutating func send(_ description: PathDescription, at now: Instant) -> PathSignal {
        tries += 1
        // Of what was sent twice nobody knows which one is acknowledged.
        sent.removeAll { $0.revision == revision }
        if tries == 1 {
            if sent.count >= Self.formerLimit { sent.removeFirst() }
            sent.append((revision, now))
        }
        owesWord = false
        let wait = timing.signalRetry * (1 << min(tries - 1, 5))
        retryAt = now + min(wait, .seconds(30))
        return signal(.description(description))
    }

    private func signal(_ content: PathSignal.Content) -> PathSignal {
        PathSignal(
            session: session,
            peerSession: peerSession,
            revision: revision,
            acknowledged: seen,
            content
        )
    }
}
