// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a `PathFinder` tells.
///
/// Packets are most of it: what is large and rare stands elsewhere, so that they are passed on cheaply.
package enum PathEvent: Sendable, Equatable {
    /// Carry this to the peer; it may be lost, come twice or late.
    case signal(PathSignal, to: PathPeerID)
    /// The path to a peer is another one, or none.
    indirect case changed(PathReport, of: PathPeerID)
    /// Packets came from a peer, on whatever path; one may come twice.
    case received(PacketBatch, from: PathPeerID)
    /// A round trip was measured on the path in use.
    indirect case roundTrip(Duration, PathReport, of: PathPeerID)
    /// A step on the way, for `--trace`.
    indirect case trace(PathTrace, of: PathPeerID)
    /// Ask the router to map this local port, and `note` what it gave.
    case wantsPort(UInt16, ICETransport)
    /// This machine is in another network: what was found out of the NAT, and the ports that a router opened, are forgotten.
    case moved(LocalNetwork)
    /// There is no path, and nobody looks for one any longer.
    case ended(PathPeerID, PathFailure)
}

/// What became of packets that were to be sent on a path.
package enum PathSending: Sendable, Hashable {
    /// There is no path.
    case nowhere
    /// They are on their way.
    case sent
    /// They are on their way, but the path may be lost, and nothing that answers stands by.
    case doubtful
}

/// Why a path is not looked for any longer.
package enum PathFailure: Sendable, Hashable {
    /// `disconnect` was called.
    case disconnected
    /// The peer left.
    case left
    /// The peer never answered a signal.
    case noAnswer
    /// The peer answered, but neither a direct nor a relayed path came to be.
    case noPath
    /// There are as many peers as are allowed.
    case tooManyPeers
}

/// A step on the way to a path.
package struct PathTrace: Sendable, Hashable {
    /// When.
    package var at: Instant
    /// What.
    package var words: Text

    /// Makes it from its parts.
    package init(at: Instant, _ words: Text) {
        self.at = at
        self.words = words
    }
}
