// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What happens to an agent.
package enum ICEInput: Sendable, Equatable {
    /// A local candidate is there; packets to be seen as coming from it leave from `base`.
    case local(ICECandidate, base: ICEBaseID)
    /// There will be no further local candidate.
    case localDone
    /// The peer told a candidate.
    case remote(ICECandidate)
    /// The peer has no further candidate.
    case remoteDone
    /// The peer tells a candidate no longer: what answers there is used on, and nothing new is tried.
    case remoteGone(ICECandidate)
    /// The peer told its credentials; other ones than before are a restart of the peer.
    case remoteCredentials(ICECredentials)
    /// A STUN message came, without the length of RFC 4571 in front of it. Anything else is left out.
    case received([UInt8], on: ICEBaseID, from: IPEndpoint)
    /// A TCP connection to the peer is there, made or accepted; it is a base of its own.
    case streamOpened(base: ICEBaseID, local: IPEndpoint, remote: IPEndpoint)
    /// A TCP connection is over, or one that `connect` asked for never came to be.
    case streamClosed(base: ICEBaseID)
    /// A socket or an allocation will be gone soon: another one takes its place as soon as a pair on that answers.
    case baseLeaves(ICEBaseID)
    /// A socket or an allocation is gone.
    case baseLost(ICEBaseID)
    /// A tactic wants one check sent somewhere, without repetition; the answer, or the peer's own check, makes the pair.
    case probe(on: ICEBaseID, to: IPEndpoint, timeToLive: UInt8?)
    /// A round trip on the selected pair is wanted, told as `roundTrip`.
    case measure
    /// The selected pair may not work any more: it is looked at now.
    case doubt
    /// Whether payload flows: when it does not, the path is looked after less often.
    case active(Bool)
    /// Begin anew with these credentials (RFC 8445 section 9); the selected pair stays in use until there is another.
    case restart(ICECredentials)
    /// The deadline passed.
    case timer
}

/// What whoever runs an agent has to do.
package enum ICEOutput: Sendable, Equatable {
    /// Send bytes from a base; over TCP behind their length (RFC 4571).
    case send([UInt8], on: ICEBaseID, to: IPEndpoint, timeToLive: UInt8?)
    /// Open a TCP connection from the endpoint of a base (RFC 6544 section 7.1), answered by `streamOpened` with a base of
    /// its own. Comes only when `ICEConfiguration.connectsStreams` is set.
    case connect(from: ICEBaseID, to: IPEndpoint)
    /// Tell.
    case event(ICEEvent)
}

/// What an agent tells.
package enum ICEEvent: Sendable, Equatable {
    /// A pair answered for the first time: payload may be sent on it.
    case valid(ICEPair)
    /// This pair is to be used. Comes again when a better one is chosen, or when the pair in use went silent.
    case selected(ICEPair)
    /// The answer to `measure`.
    case roundTrip(Duration, ICEPair)
    /// The role changed after a conflict (RFC 8445 section 7.3.1.1).
    case roleChanged(ICERole)
    /// The pair in use has not answered for too long (RFC 7675), or its base is gone: nothing may be sent on it.
    case consentLost(ICEPair)
    /// No pair answered, and none is left to try. What comes later is still answered.
    case failed
}

/// A local and a remote candidate between which packets may go.
package struct ICEPair: Sendable, Equatable {
    /// The local candidate, as the peer's answer showed it.
    package var local: ICECandidate
    /// The remote candidate.
    package var remote: ICECandidate
    /// From where packets leave.
    package var base: ICEBaseID
    /// Whether the controlling side chose it.
    package var isNominated: Bool
    /// The smoothed time to the peer and back; nil before it was measured.
    package var roundTrip: Duration?

    /// Makes it from its parts.
    package init(
        local: ICECandidate,
        remote: ICECandidate,
        base: ICEBaseID,
        isNominated: Bool = false,
        roundTrip: Duration? = nil
    ) {
        self.local = local
        self.remote = remote
        self.base = base
        self.isNominated = isNominated
        self.roundTrip = roundTrip
    }

    /// Whether a TURN server stands between.
    package var isRelayed: Bool { local.type == .relayed || remote.type == .relayed }
}
