// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a ``PortSearch`` is told.
package enum PortSearchInput: Sendable, Equatable {
    /// Begin.
    case begin(SearchPlan)
    /// The socket is there.
    case opened(Int)
    /// The system gave no socket.
    case notOpened(Int)
    /// The peer has sent the packets that open its NAT.
    case peerOpened
    /// A path was found from the main socket, or in another way: the sockets are closed.
    case found
    /// A path was found from this socket: the others are closed.
    case foundOn(Int)
    /// No path is wanted any more.
    case stop
    /// The deadline passed.
    case timer
}

/// What the driver of a ``PortSearch`` has to do.
package enum PortSearchOutput: Sendable, Equatable {
    /// Open a UDP socket on any port; the numbers begin with 1.
    case openSocket(Int)
    /// Close a socket.
    case closeSocket(Int)
    /// Send a check from a socket, 0 for the peer's main one; the usual time to live where none is given.
    case probe(from: Int, to: IPEndpoint, timeToLive: UInt8?)
    /// The peer is to be told that this side's NAT is open.
    case ready
    /// It is over; no socket but the one of `foundOn` is left.
    case finished(SearchOutcome)
}

/// How a search ended.
package enum SearchOutcome: Sendable, Hashable {
    /// A path was found.
    case found
    /// Everything was tried.
    case exhausted
    /// It was stopped.
    case stopped
    /// The system gave no sockets.
    case noSockets
}
