// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a packet leaves from: a UDP socket, a TURN allocation, or one TCP connection (RFC 8445 section 2.1, base).
package struct ICEBaseID: Hashable, Sendable {
    /// Chosen by whoever runs the agent; never used twice.
    package var number: UInt32

    /// Makes it from its number.
    package init(_ number: UInt32) {
        self.number = number
    }
}

/// Over what a candidate's packets go.
package enum ICETransport: String, Sendable, Hashable, CaseIterable {
    /// Datagrams.
    case udp
    /// A TCP connection, in which each packet stands behind its length (RFC 4571).
    case tcp
}

/// How a TCP candidate's connections come to be (RFC 6544 section 4.5).
package enum ICETCPType: String, Sendable, Hashable, CaseIterable {
    /// It connects.
    case active
    /// It listens.
    case passive
    /// Both ends connect to each other at the same moment.
    case simultaneousOpen = "so"
}

/// How a candidate was found (RFC 8445 section 4).
package enum ICECandidateType: String, Sendable, Hashable, CaseIterable {
    /// An address of the machine itself.
    case host
    /// What a STUN server saw, or a router promised.
    case serverReflexive = "srflx"
    /// What the peer saw.
    case peerReflexive = "prflx"
    /// An address of a TURN server.
    case relayed = "relay"

    /// The type preference of RFC 8445 section 5.1.2.2, 0 to 126.
    package var preference: UInt32 {
        switch self {
        case .host: 126
        case .peerReflexive: 110
        case .serverReflexive: 100
        case .relayed: 0
        }
    }
}

/// Which of the two agents nominates (RFC 8445 section 6.1.1).
package enum ICERole: Sendable, Hashable {
    /// It chooses the pair that is used.
    case controlling
    /// It follows.
    case controlled
}
