// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto

/// A base and the local candidates that packets from it can show.
struct ICEBase: Sendable {
    let id: ICEBaseID
    let transport: ICETransport
    let isV6: Bool
    /// Whether it is one TCP connection.
    let isStream: Bool
    /// The other end of the connection.
    var remote: IPEndpoint?
    /// The candidate of the base itself comes first: a host or a relayed one, when there is one.
    var candidates: [ICECandidate] = []
    /// Whether it will be gone soon.
    var isLeaving = false
    /// Whether it is gone.
    var isLost = false
}

/// A remote candidate.
struct ICERemote: Sendable {
    /// From where it is known.
    enum State: Sendable {
        /// The peer told it.
        case told
        /// Only a check or a connection showed it.
        case learned
        /// It belongs to the session before a restart, whose pair is in use.
        case retired
        /// Its place is free.
        case forgotten
    }

    var candidate: ICECandidate
    var state: State

    var key: ICERemoteKey { ICERemoteKey(endpoint: candidate.endpoint, transport: candidate.transport) }
}

/// What a remote candidate is found by.
struct ICERemoteKey: Hashable, Sendable {
    let endpoint: IPEndpoint
    let transport: ICETransport
}

/// What a pair is found by: where packets leave and where they go.
struct ICEPairKey: Hashable, Sendable {
    let base: ICEBaseID
    let endpoint: IPEndpoint
}

/// A pair in the checklist (RFC 8445 section 6.1.2).
struct ICECheckPair: Sendable {
    /// RFC 8445 section 6.1.2.6, and `removed` for a free place.
    enum State: Sendable {
        case frozen
        case waiting
        case inProgress
        case succeeded
        case failed
        case removed
    }

    let key: ICEPairKey
    /// Places in the agent's lists.
    let base: Int
    let remote: Int
    /// Tells a pair from a later one in the same place.
    let serial: UInt32
    /// Which credentials it is checked with.
    let generation: UInt32
    /// Ordered as RFC 8445 section 6.1.2.3 says.
    var priority: UInt64
    var state = State.waiting
    /// The checks sent since it was last waiting.
    var sent = 0
    var isTriggered = false
    /// Whether a TCP connection for it was asked for.
    var isConnecting = false
    /// Whether it is looked after although it is not selected.
    var isKept = false
    /// The number of a nomination whose success is waited for, and how often it was sent.
    var nomination: UInt32?
    var nominationsSent = 0
    /// Whether it is nominated: chosen by this agent, or by the peer.
    var isNominated = false
    /// Whether the peer nominated it before it was valid (RFC 8445 section 7.3.1.5).
    var awaitsSuccess = false
    /// The local candidate that the last success showed.
    var local: ICECandidate?
    var roundTrip: Duration?
    var lastAnswer: Instant?
    /// When the first check after the last answer went out.
    var unansweredSince: Instant?
    /// Whether `valid` was told.
    var wasTold = false
    /// Which large packets the way carries.
    var size = ICEPairSize()
}

/// What is known of how large packets may be on a pair.
struct ICEPairSize: Sendable {
    /// A check as large as that was answered last; 0 when none was.
    var packetSize = 0
    /// Whether a check of that size has not been answered.
    var isAsked = false
    /// How many in a row were not.
    var misses = 0
}

/// The credentials of one session between restarts (RFC 8445 section 9).
struct ICEGeneration: Sendable {
    let number: UInt32
    let local: ICECredentials
    let remote: ICECredentials?
    let localKey: STUNIntegrityKey
    let remoteKey: STUNIntegrityKey?
    /// USERNAME of what is sent: the peer's fragment first (RFC 8445 section 7.2.2).
    let outgoingUsername: String
    /// USERNAME of what is received; ends with a colon while the peer's fragment is not known.
    let incomingUsername: String

    init(number: UInt32, local: ICECredentials, localKey: STUNIntegrityKey? = nil, remote: ICECredentials?) {
        self.number = number
        self.local = local
        self.remote = remote
        self.localKey = localKey ?? STUNIntegrityKey(password: local.password)
        remoteKey = remote.map { STUNIntegrityKey(password: $0.password) }
        outgoingUsername = "\(remote?.ufrag ?? ""):\(local.ufrag)"
        incomingUsername = "\(local.ufrag):\(remote?.ufrag ?? "")"
    }

    /// Whether a check with this USERNAME is for it. Before the peer's fragment is known any will do (RFC 8445 section 7.3).
    func accepts(_ username: String) -> Bool {
        remote == nil ? username.hasPrefix(incomingUsername) : username == incomingUsername
    }
}

/// A check whose answer is waited for.
struct ICETransaction: Sendable {
    /// What it was sent for.
    enum Purpose: Sendable, Equatable {
        case check
        case nomination(UInt32)
        case measure
        /// As large as a packet may be where networks carry more than the least.
        case size
        case probe
    }

    let purpose: Purpose
    let key: ICEPairKey
    /// The pair's place and serial number; -1 for a probe.
    let pair: Int
    let serial: UInt32
    let generation: UInt32
    let role: ICERole
    let priority: UInt32
    let sentAt: Instant
}

/// What an agent counted since it was made.
package struct ICECounters: Sendable, Equatable {
    /// Checks that were sent, those of tactics and of consent among them.
    package var checks = 0
    /// Answers that were sent.
    package var answers = 0
    /// Bytes of both.
    package var bytes = 0
    /// Messages that were not protected by the right key, or answered nothing that was asked.
    package var forged = 0
    /// Checks that were seen before from somewhere else.
    package var replayed = 0
    /// Candidates and sources at which nothing is aimed, and those beyond the limits.
    package var refused = 0

    /// Starts at zero.
    package init() {}
}
