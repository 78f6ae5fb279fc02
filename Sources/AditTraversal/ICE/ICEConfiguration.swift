// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How often checks are sent, and when silence ends a path.
package struct ICETiming: Sendable, Equatable {
    /// So many checks of a pair, each so long after the one before.
    package struct Step: Sendable, Equatable {
        /// The wait after each of them.
        package var wait: Duration
        /// How many there are.
        package var count: Int

        /// Makes it from its parts.
        package init(_ wait: Duration, count: Int = 1) {
            self.wait = wait
            self.count = count
        }
    }

    /// The time between two new checks, over all pairs (Ta, RFC 8445 section 14.2).
    package var pacing: Duration
    /// How many new checks may go out at once before `pacing` holds.
    package var burst: Int
    /// The checks of a direct pair over UDP.
    package var probes: [Step]
    /// The checks of a pair for which no NAT has to be opened: through a relay, or within a private network.
    package var plainProbes: [Step]
    /// How long an answer over TCP is waited for (Ti, RFC 8489 section 6.2.2).
    package var streamWait: Duration
    /// Whether a pair waits for those of the same foundation (RFC 8445 section 6.1.2.6).
    package var freezes: Bool
    /// The time between two looks at the selected pair while payload flows (RFC 7675 section 5.1), changed by up to a fifth.
    package var consent: Duration
    /// The same of a direct pair over TCP; nil for `consent`.
    package var streamConsent: Duration?
    /// The same when an answer is overdue; nil to go on as before.
    package var consentRetry: Duration?
    /// After so much silence nothing may be sent on a pair (RFC 7675 section 5.1: 30 s).
    package var expiry: Duration
    /// When nothing at all has come from a direct pair over UDP for so long after a check that was not answered, it is given up,
    /// or four round trips where they take longer; nil for `expiry` alone.
    package var silence: Duration?
    /// The same of a direct pair over TCP, which repeats for a while what was lost, and has to be made anew once it is given up.
    package var streamSilence: Duration?
    /// The checks of a direct pair that was in use and went silent.
    package var lostProbes: [Step]
    /// The time between two looks at a path without payload, and at those kept beside the selected one (Tr, section 11).
    package var keepalive: Duration
    /// How long the controlling side waits for a better pair before it nominates; without `renominates` alone.
    package var nominationDelay: Duration
    /// How long the agent waits after everything was tried before it says `failed` (RFC 8863 section 4).
    package var patience: Duration

    /// Makes it from its parts.
    package init(
        pacing: Duration,
        burst: Int,
        probes: [Step],
        plainProbes: [Step],
        streamWait: Duration,
        freezes: Bool,
        consent: Duration,
        streamConsent: Duration? = nil,
        consentRetry: Duration?,
        expiry: Duration,
        silence: Duration? = nil,
        streamSilence: Duration? = nil,
        lostProbes: [Step] = [],
        keepalive: Duration,
        nominationDelay: Duration,
        patience: Duration
    ) {
        self.pacing = pacing
        self.burst = burst
        self.probes = probes
        self.plainProbes = plainProbes
        self.streamWait = streamWait
        self.freezes = freezes
        self.consent = consent
        self.streamConsent = streamConsent
        self.consentRetry = consentRetry
        self.expiry = expiry
        self.silence = silence
        self.streamSilence = streamSilence
        self.lostProbes = lostProbes
        self.keepalive = keepalive
        self.nominationDelay = nominationDelay
        self.patience = patience
    }

    /// Between two devices of Adit: quick at first, and at most 25 checks of a pair that never answers.
    package static let adit = ICETiming(
        pacing: .milliseconds(20),
        burst: 10,
        probes: [
            // The first may come before the peer has opened its NAT, which then takes half a round trip at most.
            Step(.milliseconds(20), count: 4), Step(.milliseconds(50), count: 8), Step(.milliseconds(200), count: 13),
        ],
        plainProbes: [
            Step(.milliseconds(200), count: 3), Step(.milliseconds(500), count: 3), Step(.seconds(1), count: 2),
        ],
        streamWait: .seconds(10),
        freezes: false,
        // With its jitter, and the silence after it, five seconds at most.
        consent: .milliseconds(2500),
        // The same: its silence is longer.
        streamConsent: .milliseconds(800),
        consentRetry: .milliseconds(250),
        expiry: .seconds(8),
        silence: .seconds(2),
        // With the look or the doubt before it, five seconds at most.
        streamSilence: .seconds(4),
        lostProbes: [
            Step(.milliseconds(250), count: 12), Step(.milliseconds(500), count: 24), Step(.seconds(1), count: 60),
        ],
        keepalive: .seconds(15),
        nominationDelay: .zero,
        patience: .seconds(10)
    )

    /// RFC 8445, RFC 7675 and RFC 8863, for agents of others.
    package static let standard = ICETiming(
        pacing: .milliseconds(50),
        burst: 1,
        probes: standardProbes,
        plainProbes: standardProbes,
        streamWait: .milliseconds(39_500),
        freezes: true,
        consent: .seconds(5),
        consentRetry: nil,
        expiry: .seconds(30),
        keepalive: .seconds(15),
        nominationDelay: .seconds(1),
        patience: .milliseconds(39_500)
    )

    /// RFC 8489 section 6.2.1: RTO 500 ms doubles, Rc is 7, Rm is 16.
    private static let standardProbes = [
        Step(.milliseconds(500)), Step(.seconds(1)), Step(.seconds(2)), Step(.seconds(4)), Step(.seconds(8)),
        Step(.seconds(16)), Step(.seconds(8)),
    ]
}

/// How much an agent holds and sends at most.
package struct ICELimits: Sendable, Equatable {
    /// Candidates that the peer tells.
    package var remoteCandidates = 20
    /// Of these, in one IPv4 /24 or IPv6 /64.
    package var remoteCandidatesPerNetwork = 8
    /// Remote candidates that are learned from checks.
    package var peerReflexiveCandidates = 32
    /// Local candidates.
    package var localCandidates = 32
    /// Pairs (RFC 8445 section 6.1.2.5).
    package var pairs = 100
    /// Checks whose answer is waited for.
    package var transactions = 256
    /// Probes whose answer is waited for.
    package var probes = 2048
    /// Checks to one address that never answered; each check that comes from there allows one more, so many again at most.
    package var checksToSilentAddress = 25
    /// Checks in a second, over all pairs; a fifth of them may go out at once. Answers are not among them.
    package var checksPerSecond = 100
    /// Pairs that are kept alive beside the selected one.
    package var standbyPairs = 2

    /// Makes the usual limits.
    package init() {}
}

/// What an agent is made with.
package struct ICEConfiguration: Sendable, Equatable {
    /// Whether this agent nominates.
    package var role: ICERole
    /// A random number, by which a conflict of roles is decided (RFC 8445 section 16.1).
    package var tieBreaker: UInt64
    /// The credentials that the peer is told.
    package var local: ICECredentials
    /// How quick it is.
    package var timing: ICETiming
    /// How much it holds and sends.
    package var limits: ICELimits
    /// At which remote addresses it may aim.
    package var remoteFilter: ICEAddressFilter
    /// Whether the controlling side may nominate again when there is a better pair, and uses the first at once: when both
    /// are Adit. Otherwise one pair is nominated (RFC 8445 section 8.1.1).
    package var renominates: Bool
    /// Whether the agent asks for TCP connections itself; not when something else makes them.
    package var connectsStreams: Bool

    /// Makes it from its parts; the defaults are those between two devices of Adit.
    package init(
        role: ICERole,
        tieBreaker: UInt64,
        local: ICECredentials,
        timing: ICETiming = .adit,
        limits: ICELimits = ICELimits(),
        remoteFilter: ICEAddressFilter = ICEAddressFilter(),
        renominates: Bool = true,
        connectsStreams: Bool = false
    ) {
        self.role = role
        self.tieBreaker = tieBreaker
        self.local = local
        self.timing = timing
        self.limits = limits
        self.remoteFilter = remoteFilter
        self.renominates = renominates
        self.connectsStreams = connectsStreams
    }
}
