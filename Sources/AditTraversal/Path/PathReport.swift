// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// How packets go to a peer.
package enum PathKind: Sendable, Hashable {
    /// They do not.
    case none
    /// Through the server, which is reached over this transport.
    case relayed(PathRelayTransport)
    /// From device to device.
    case direct(ICETransport)

    /// Whether there is a path.
    package var isUsable: Bool { self != .none }

    /// Whether packets go from device to device.
    package var isDirect: Bool {
        if case .direct = self { return true }
        return false
    }
}

/// How this device reaches the relay.
package enum PathRelayTransport: String, Sendable, Hashable, CaseIterable {
    case udp
    case tcp
    case tls
    /// Through the sessions that both devices have with the server.
    case session
}

/// By which means a direct path was found, as `--tactic` names them.
package enum PathTactic: String, Sendable, Hashable, CaseIterable {
    /// Both send to what is known of the other (RFC 8445).
    case plain
    /// TCP connections from both sides at once.
    case tcp
    /// TCP by connecting, failing, and listening in turn.
    case sevenSteps = "seven-steps"
    /// The same, keeping the socket that failed.
    case sevenStepsKept = "seven-steps-kept"
    /// Guessing the next port of a NAT that counts.
    case prediction
    /// Two windows of sockets behind two NATs that count.
    case window
    /// Many sockets on one side, many probes from the other.
    case birthday
    /// The same within a carrier's block of ports.
    case block
}

/// What is known of the path to one peer.
package struct PathReport: Sendable, Hashable {
    /// How packets go now.
    package var kind: PathKind
    /// What kind of candidate this device sends from; nil without a path.
    package var localType: ICECandidateType?
    /// What kind of candidate the peer is sent to; nil without a path.
    package var remoteType: ICECandidateType?
    /// Where packets leave from, as this device sees it.
    package var localEndpoint: IPEndpoint?
    /// Where packets are sent to.
    package var remoteEndpoint: IPEndpoint?
    /// The last measured round trip on this path.
    package var roundTrip: Duration?
    /// How the direct path was found; nil for a relayed one.
    package var tactic: PathTactic?
    /// Since when packets go this way.
    package var since: Instant
    /// Why they do.
    package var reason: PathReason
    /// Whether this device is `a` of the reason; otherwise the peer is.
    package var isSideA: Bool
    /// How long after the start the first path, relayed or direct, was there.
    package var timeToPath: Duration?
    /// How long after the start the first direct path was there.
    package var timeToDirect: Duration?
    /// How many packets this device sent to look for a path to this peer, to servers and to the peer.
    package var packetsSpent: Int
    /// What is known of the NAT in front of this device.
    package var local: PathNAT
    /// What the peer told of the NAT in front of it.
    package var remote: PathNAT

    /// A report of a peer to whom there is no path yet.
    package init(since: Instant, isSideA: Bool, local: PathNAT = .unknown, remote: PathNAT = .unknown) {
        kind = .none
        localType = nil
        remoteType = nil
        localEndpoint = nil
        remoteEndpoint = nil
        roundTrip = nil
        tactic = nil
        self.since = since
        reason = .searching(a: nil, b: nil)
        self.isSideA = isSideA
        timeToPath = nil
        timeToDirect = nil
        packetsSpent = 0
        self.local = local
        self.remote = remote
    }

    /// How packets go and why, word for word the same on both ends.
    package func sentence(local: String, remote: String) -> Text {
        reason.sentence(kind, a: isSideA ? local : remote, b: isSideA ? remote : local)
    }
}
