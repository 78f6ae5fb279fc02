// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// All that one end tells the other, whole each time: what came late or twice does no harm, and what was lost is in the next.
package struct PathDescription: Sendable, Equatable {
    /// The credentials of ICE; new ones begin a restart (RFC 8445 section 9).
    package var credentials: ICECredentials
    /// The candidates that are known by now, at most `candidateLimit`.
    package var candidates: [ICECandidate]
    /// Whether no more candidates are to be expected.
    package var isComplete: Bool
    /// Which paths this end wants.
    package var policy: PathPolicy
    /// Whether this end searches no ports.
    package var isQuiet: Bool
    /// What is known of the NAT in front of this end.
    package var nat: PathNAT
    /// How this end reaches its relay.
    package var relay = PathRelayTransport.udp
    /// Openers on fresh sockets; nil until they are tried.
    package var openers: PathOpenersOffer?
    /// Punching by TCP; nil until it is tried.
    package var tcp: PathTCPOffer?
    /// Searching for ports; nil until it is tried.
    package var search: PathSearchOffer?
    /// Why the path is as it is; only the controlling end says it.
    package var reason: PathReason?

    /// More candidates are not told, and not taken.
    package static let candidateLimit = 24

    /// Makes a description of which only the credentials are known.
    package init(credentials: ICECredentials) {
        self.credentials = credentials
        candidates = []
        isComplete = false
        policy = .automatic
        isQuiet = false
        nat = .unknown
    }
}

/// A fresh socket whose mapping is opened by packets that die on the way, before anything is sent to the peer.
package struct PathOpenersOffer: Sendable, Hashable {
    /// Which try this is, from 1.
    package var round: UInt8
    /// As what the fresh sockets are seen from outside; empty until that is known.
    package var endpoints: [IPEndpoint]
    /// Whether the openers were sent.
    package var isOpened: Bool

    /// More endpoints are not told, and not taken.
    package static let endpointLimit = 4

    /// Makes it from its parts.
    package init(round: UInt8, endpoints: [IPEndpoint] = [], isOpened: Bool = false) {
        self.round = round
        self.endpoints = endpoints
        self.isOpened = isOpened
    }
}

/// A port from which TCP is punched.
package struct PathTCPOffer: Sendable, Hashable {
    /// Which try this is, from 1.
    package var round: UInt8
    /// Where the port is bound; nil until that is known.
    package var local: IPEndpoint?
    /// As what servers see the port, in the order in which they were asked.
    package var mapped: [IPEndpoint]
    /// Whether every port that this end opens for a search is open.
    package var isReady: Bool
    /// Whether this end connects now.
    package var goes: Bool

    /// More endpoints are not told, and not taken.
    package static let endpointLimit = 8

    /// Makes it from its parts.
    package init(
        round: UInt8,
        local: IPEndpoint? = nil,
        mapped: [IPEndpoint] = [],
        isReady: Bool = false,
        goes: Bool = false
    ) {
        self.round = round
        self.local = local
        self.mapped = mapped
        self.isReady = isReady
        self.goes = goes
    }
}

/// A search for the ports that a NAT gives.
package struct PathSearchOffer: Sendable, Hashable {
    /// How far this end is.
    package enum Stage: UInt8, Sendable, Hashable, Comparable {
        /// It looks which ports its NAT gives now.
        case sampling = 0
        /// Its samples are told.
        case sampled = 1
        /// It searches, and its NAT is open.
        case opened = 2
        /// It has given up.
        case failed = 3

        package static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    /// Which try this is, from 1.
    package var round: UInt8
    /// How far this end is.
    package var stage: Stage
    /// As what servers saw a burst from one socket, in the order in which they were asked.
    package var samples: [IPEndpoint]
    /// How many probes it sent, once its search is over; 0 before.
    package var probes: Int

    /// More samples are not told, and not taken.
    package static let sampleLimit = PortSamples.limit

    /// Makes it from its parts.
    package init(round: UInt8, stage: Stage = .sampling, samples: [IPEndpoint] = [], probes: Int = 0) {
        self.round = round
        self.stage = stage
        self.samples = samples
        self.probes = probes
    }
}
