// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The number of a socket between a punching machine and whoever runs it.
package struct PunchSocketID: Hashable, Sendable {
    /// Numbers below `acceptedStart` are the machine's, those from there on its driver's, for accepted connections.
    package var number: UInt32

    /// The first number that a driver gives to an accepted connection.
    package static let acceptedStart: UInt32 = SocketID.acceptedStart

    /// Makes it from its number.
    package init(_ number: UInt32) {
        self.number = number
    }
}

/// What ``TCPPunch`` and ``SevenSteps`` are told.
package enum TCPPunchInput: Sendable, Equatable {
    /// Begin on this address, whose port 0 means any; the servers are STUN servers over TCP.
    case begin(local: IPEndpoint, servers: [IPEndpoint])
    /// The peer's endpoints, as its own machine told them with `mapped`; more may follow.
    case targets([IPEndpoint])
    /// The peer has answered from the address: what goes there hits no stranger.
    case trust(IPAddress)
    /// Which ports to try where the peer's endpoint for this side is not known; begins with `go`.
    case search(SearchPlan)
    /// The peer begins now; the connections are made.
    case go
    /// The peer begins so much later: the word to it is still on its way.
    case goAfter(Duration)
    /// A listener is there.
    case opened(PunchSocketID, local: IPEndpoint)
    /// A connection is there.
    case connected(PunchSocketID, local: IPEndpoint, remote: IPEndpoint)
    /// The listener took a connection.
    case accepted(PunchSocketID, by: PunchSocketID, local: IPEndpoint, remote: IPEndpoint)
    /// Bytes came on a connection to a server; bytes of established connections are not the machine's.
    case bytes(PunchSocketID, [UInt8])
    /// A socket is over, or never came to be. An established connection that turned out to be a stranger's is told
    /// like this too, after its owner closed it.
    case closed(PunchSocketID, SocketEnd)
    /// A path was found, or none is wanted any more: all but established connections are closed.
    case stop
    /// The deadline passed.
    case timer
}

/// What the driver of ``TCPPunch`` or ``SevenSteps`` has to do.
package enum TCPPunchOutput: Sendable, Equatable {
    /// Open a socket, as with ``SocketOutput/open(_:_:)``.
    case open(PunchSocketID, SocketKind)
    /// Write bytes to a connection.
    case write(PunchSocketID, [UInt8])
    /// Close a socket; no input names it afterwards.
    case close(PunchSocketID, isAbrupt: Bool)
    /// Tell the owner.
    case event(TCPPunchEvent)
}

/// What ``TCPPunch`` and ``SevenSteps`` tell.
package enum TCPPunchEvent: Sendable, Equatable {
    /// How the servers see the port, in the order of the servers, without those that did not answer; empty when none did.
    case mapped([IPEndpoint], local: IPEndpoint)
    /// A connection with somebody is there; who it is has yet to be proven on it. It is the owner's from now on.
    case established(PunchSocketID, local: IPEndpoint, remote: IPEndpoint)
    /// Every port of a search that this side opens is open: the peer may begin to try.
    case ready
    /// It is given up.
    case failed(TCPPunchFailure)
    /// A step, for people.
    case trace(PunchStep)
}

/// Why a TCP punch was given up.
package enum TCPPunchFailure: Sendable, Hashable {
    /// The host did not give a socket on the port.
    case noSocket(SocketEnd)
    /// No server answered, where one is needed.
    case noServer
    /// The peer's endpoints were never told.
    case noPeer
    /// Nothing was connected in the time for it.
    case timedOut
}

/// One step of a punch as it happens, for people.
package struct PunchStep: Sendable, Hashable {
    /// The number of the step; 0 for what belongs to none.
    package var number: Int
    /// What happens.
    package var words: Text

    /// Makes a step.
    package init(_ words: Text, number: Int = 0) {
        self.words = words
        self.number = number
    }
}
