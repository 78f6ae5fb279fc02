// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A protocol machine that uses several sockets: NAT discovery, port mapping, and whatever looks for a path.
///
/// A driver performs its outputs in order: AditTransport with the machine's real sockets, AditLab with those of a
/// simulated host in virtual time. After each `handle` the driver takes outputs until there is none and arms one timer for
/// `nextDeadline`, at which it hands in `.timer`.
package protocol SocketMachine: Sendable {
    /// What the machine tells whoever runs it.
    associatedtype Event: Sendable & Equatable

    /// Takes what happened, and the instant at which it did.
    mutating func handle(_ input: SocketInput, at now: Instant)

    /// What the driver has to do next; nil when there is nothing until the next input.
    mutating func nextOutput() -> SocketOutput<Event>?

    /// When `.timer` is to be handed in; nil for never.
    var nextDeadline: Instant? { get }

    /// Whether datagrams that came together may be handed in as one `.receivedBatch`; else each comes as `.received`.
    static var takesBatches: Bool { get }
}

extension SocketMachine {
    package static var takesBatches: Bool { false }
}

/// The number of a socket or a request; the machine chooses it, and never uses it twice.
package struct SocketID: Hashable, Sendable {
    /// Numbers below `acceptedStart` are the machine's, those from there on the driver's, for accepted connections.
    package var number: UInt32

    /// The first number that a driver gives to an accepted connection.
    package static let acceptedStart: UInt32 = 1 << 31

    /// Makes it from its number.
    package init(_ number: UInt32) {
        self.number = number
    }
}

/// What a socket is to be.
package enum SocketKind: Sendable, Equatable {
    /// A UDP socket bound to `local`: port 0 lets the system choose, an unspecified address means the family's every one.
    case udp(local: IPEndpoint)
    /// A TCP connection from `local`, whose port other sockets of the machine may share (SO_REUSEADDR, SO_REUSEPORT).
    case tcp(local: IPEndpoint, remote: IPEndpoint)
    /// A connection as `tcp` with TLS on it: `connected` comes once the other side has proved who it is, and bytes are
    /// those inside.
    ///
    /// `name` is the server's, empty for none; whom to trust and what is said by ALPN (RFC 7301) the driver knows.
    case tls(local: IPEndpoint, remote: IPEndpoint, name: String)
    /// A TCP listener on `local`, whose port other sockets of the machine may share.
    case listener(local: IPEndpoint)
}

/// What the driver of a machine with sockets has to do.
package enum SocketOutput<Event: Sendable & Equatable>: Sendable, Equatable {
    /// Open a socket. Answered by `opened` (UDP, listener), `connected` (TCP), or `closed`.
    indirect case open(SocketID, SocketKind)
    /// Send a datagram; `timeToLive` is set for this one alone, nil for the system's usual.
    case send(SocketID, [UInt8], to: IPEndpoint, timeToLive: UInt8?)
    /// Send datagrams, as few calls of the system as it takes.
    case sendBatch(SocketID, PacketBatch, to: IPEndpoint)
    /// Write bytes to a TCP connection, which is closed as `denied` when too many wait already.
    case write(SocketID, [UInt8])
    /// Write bytes to a TCP connection, all of them, or none where too many wait already: packets that may be lost.
    case offer(SocketID, [UInt8])
    /// As `offer`, each packet behind its length (RFC 4571): see ``PacketFrames``.
    case offerBatch(SocketID, PacketBatch)
    /// Close a socket, or give a request up; no input names it afterwards. `isAbrupt` resets a TCP connection.
    case close(SocketID, isAbrupt: Bool)
    /// Send an HTTP request on a connection of its own. Answered by `response` or `closed`, after which the id is spent.
    indirect case request(SocketID, SocketRequest)
    /// Tell whoever runs the machine.
    case event(Event)
}

/// What happened to a machine's sockets.
package enum SocketInput: Sendable, Equatable {
    /// A UDP socket or a listener is there; `local` is where it is bound.
    case opened(SocketID, local: IPEndpoint)
    /// A datagram came.
    case received(SocketID, [UInt8], from: IPEndpoint)
    /// Datagrams of one sender came, one right behind the other; only to a machine that `takesBatches`.
    case receivedBatch(SocketID, PacketBatch, from: IPEndpoint)
    /// A router or host refused a datagram that the socket had sent (ICMP, RFC 792).
    case refused(SocketID, SocketRefusal)
    /// A TCP connection is there.
    case connected(SocketID, local: IPEndpoint, remote: IPEndpoint)
    /// A listener took a connection, whose id the driver chose.
    case accepted(SocketID, by: SocketID, local: IPEndpoint, remote: IPEndpoint)
    /// Bytes came on a TCP connection.
    case bytes(SocketID, [UInt8])
    /// A socket, connection or request is over, or never came to be.
    case closed(SocketID, SocketEnd)
    /// A request was answered.
    case response(SocketID, SocketResponse)
    /// The addresses of this machine are these now.
    case networkChanged(LocalNetwork)
    /// The deadline passed.
    case timer
}

/// Why a socket ended or never came to be.
package enum SocketEnd: Sendable, Hashable {
    /// The other side has sent everything (FIN).
    case finished
    /// The connection was reset (RST).
    case reset
    /// Nobody listens there: a connect was answered with RST (ECONNREFUSED).
    case refused
    /// No answer in the time that TCP waits.
    case timedOut
    /// A router or the system knows no way there (ICMP, EHOSTUNREACH, ENETUNREACH).
    case unreachable
    /// The local address or port is taken or not this machine's (EADDRINUSE, EADDRNOTAVAIL).
    case addressUnavailable
    /// The system forbids it (EACCES, EPERM), or a limit is reached (EMFILE).
    case denied
    /// The other side broke the protocol of a request or of TLS, is not who it has to be, or sent more than the limit.
    case malformed
}

/// An ICMP error about a datagram.
package struct SocketRefusal: Sendable, Hashable {
    /// What the error says.
    package enum Kind: Sendable, Hashable {
        /// The time to live ended on the way (type 11 code 0; ICMPv6 type 3).
        case timeExceeded
        /// Nobody listens on the port (type 3 code 3; ICMPv6 type 1 code 4).
        case portUnreachable
        /// No way to the host or net (type 3 codes 0, 1, 6, 7; ICMPv6 type 1 codes 0, 3).
        case hostUnreachable
        /// An administrator forbids it (type 3 codes 9, 10, 13; ICMPv6 type 1 code 1).
        case prohibited
        /// The datagram is larger than the path's MTU, in bytes (type 3 code 4; ICMPv6 type 2); 0 when it is not said.
        case tooBig(mtu: UInt32)
    }

    /// What the error says.
    package var kind: Kind
    /// To whom the datagram had been sent.
    package var destination: IPEndpoint
    /// Who sent the error; nil where the system does not tell.
    package var reporter: IPAddress?

    /// Makes it from its parts.
    package init(_ kind: Kind, destination: IPEndpoint, reporter: IPAddress?) {
        self.kind = kind
        self.destination = destination
        self.reporter = reporter
    }
}
