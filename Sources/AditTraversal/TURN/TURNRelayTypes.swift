// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// Who asks a relay for something: RFC 8656's 5-tuple.
package struct TURNClientTuple: Sendable, Hashable {
    /// The client's endpoint, as the server sees it.
    package var client: IPEndpoint
    /// The driver's number for the listening socket (UDP) or for the connection (TCP, TLS), never used twice for connections.
    package var socket: UInt32
    /// Over what the client talks.
    package var transport: STUNTransport

    /// Makes it from its parts.
    package init(client: IPEndpoint, socket: UInt32, transport: STUNTransport) {
        self.client = client
        self.socket = socket
        self.transport = transport
    }
}

/// The number of a relay's UDP socket, never used twice.
package struct TURNRelayID: Sendable, Hashable {
    /// The number: in the upper half a count, in the lower half the place in the relay's table.
    package var number: UInt64

    /// Makes it from its number.
    package init(_ number: UInt64) {
        self.number = number
    }
}

/// Which port a relay is to have.
package enum TURNPort: Sendable, Hashable {
    /// Any of the range.
    case any
    /// An even one (EVEN-PORT).
    case even
    /// An even one, and the one above it for another relay, whose socket is opened at the same time (EVEN-PORT with R).
    case evenKeepingNext(TURNRelayID)
}

/// What the driver of a relay has to do.
package enum TURNRelayOutput: Sendable, Equatable {
    /// Send a message to a client: a datagram, or bytes of its connection.
    case toClient([UInt8], TURNClientTuple)
    /// Open a UDP socket. Answered by `opened(_:at:)` or `refused(_:)` of the relay.
    case openRelay(TURNRelayID, STUNAddressFamily, TURNPort)
    /// Send a datagram from a relay's socket.
    case toPeer(TURNRelayID, [UInt8], to: IPEndpoint, dontFragment: Bool)
    /// Close a relay's socket.
    case closeRelay(TURNRelayID)
    /// An allocation came to be, or ended.
    case event(TURNRelayEvent)
}

/// What a relay tells for logs and figures.
package enum TURNRelayEvent: Sendable, Equatable {
    /// A device has an allocation.
    case allocated(device: String, relayed: IPEndpoint, client: TURNClientTuple)
    /// An allocation ended; with the payload bytes that it carried to peers and from them.
    case released(device: String, relayed: IPEndpoint, client: TURNClientTuple, sent: UInt64, received: UInt64)
}

/// What became of bytes that were handed to a relay's fast path.
package enum TURNForward: Sendable, Equatable {
    /// These bytes of the buffer are to leave from the relay's socket.
    case toPeer(TURNRelayID, Range<Int>, to: IPEndpoint, dontFragment: Bool)
    /// These bytes of the buffer, a whole message, are to go to a client.
    case toClient(TURNClientTuple, Range<Int>)
    /// Nothing is to be done.
    case dropped
    /// The message is a request: hand it to `handle(_:from:at:)`.
    case control
}

/// How a relay refused or dropped, and what it carried.
package struct TURNRelayCounters: Sendable, Hashable {
    /// Allocations made.
    package var allocations: UInt64 = 0
    /// Requests answered with success.
    package var answered: UInt64 = 0
    /// Requests answered with an error, 401 and 438 of an opening exchange too.
    package var refused: UInt64 = 0
    /// Requests with a wrong key, an unknown user or an expired one.
    package var unauthorized: UInt64 = 0
    /// Requests over a device's quota or over the server's limits (486, 508).
    package var overQuota: UInt64 = 0
    /// Requests for peers that the policy forbids (403).
    package var forbidden: UInt64 = 0
    /// Bytes that are no message of TURN, and messages without an allocation.
    package var malformed: UInt64 = 0
    /// Requests of sources over their rate, not answered.
    package var limited: UInt64 = 0
    /// Datagrams to peers.
    package var datagramsToPeers: UInt64 = 0
    /// Datagrams to clients.
    package var datagramsToClients: UInt64 = 0
    /// Payload bytes to peers.
    package var bytesToPeers: UInt64 = 0
    /// Payload bytes to clients.
    package var bytesToClients: UInt64 = 0
    /// Datagrams without a permission or a channel, or over a device's rate.
    package var dropped: UInt64 = 0

    /// Makes counters at zero.
    package init() {}
}

/// What a device uses of a relay.
package struct TURNDeviceUsage: Sendable, Hashable {
    /// The device: the part of the user behind the expiry, or the user.
    package var device: String
    /// How many allocations it has.
    package var allocations: Int
    /// Payload bytes to peers and to the device since its first allocation that is still there.
    package var bytes: UInt64

    /// Makes it from its parts.
    package init(device: String, allocations: Int, bytes: UInt64) {
        self.device = device
        self.allocations = allocations
        self.bytes = bytes
    }
}
