// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a STUN server announces and allows.
package struct STUNServerConfiguration: Sendable, Equatable {
    /// A server's addresses of one family, as clients see them.
    package struct Addresses: Sendable, Equatable {
        /// The address that clients know.
        package var primary: IPAddress
        /// A second one, which RFC 5780 needs; nil when there is none.
        package var alternate: IPAddress?

        /// Makes it from its parts.
        package init(primary: IPAddress, alternate: IPAddress? = nil) {
            self.primary = primary
            self.alternate = alternate
        }
    }

    /// The IPv4 addresses; nil when the server does not know them.
    package var v4: Addresses?
    /// The IPv6 addresses; nil when the server does not know them.
    package var v6: Addresses?
    /// The port that clients know.
    package var port: UInt16
    /// A second port, which RFC 5780 needs; nil when there is none.
    package var alternatePort: UInt16?
    /// What SOFTWARE says; nil to leave it out.
    package var software: String?
    /// How much a source may ask for; nil for no limits.
    package var limits: STUNLimits?

    /// Makes a configuration.
    package init(
        v4: Addresses? = nil,
        v6: Addresses? = nil,
        port: UInt16 = 3478,
        alternatePort: UInt16? = nil,
        software: String? = nil,
        limits: STUNLimits? = STUNLimits()
    ) {
        self.v4 = v4
        self.v6 = v6
        self.port = port
        self.alternatePort = alternatePort
        self.software = software
        self.limits = limits
    }

    /// The addresses of the family of `address`.
    package func addresses(like address: IPAddress) -> Addresses? {
        switch address {
        case .v4: v4
        case .v6: v6
        }
    }
}

/// Which of a server's sockets: its address and its port are each the primary or the alternate one.
package struct STUNServerSocket: Sendable, Hashable {
    /// Whether it is bound to the alternate address.
    package var isAlternateAddress: Bool
    /// Whether it is bound to the alternate port.
    package var isAlternatePort: Bool

    /// Makes it from its parts.
    package init(isAlternateAddress: Bool = false, isAlternatePort: Bool = false) {
        self.isAlternateAddress = isAlternateAddress
        self.isAlternatePort = isAlternatePort
    }

    /// The primary address and port.
    package static let primary = STUNServerSocket()
}

/// Over what a STUN message came.
package enum STUNTransport: Sendable, Hashable {
    /// Datagrams, whose source may be forged.
    case udp
    /// A TCP connection on the same addresses and ports.
    case tcp
    /// TLS, on a port of its own that no attribute names.
    case tls
}

/// Where a response goes.
package struct STUNReplyRoute: Sendable, Hashable {
    /// To whom.
    package var destination: IPEndpoint
    /// From which of the server's sockets.
    package var socket: STUNServerSocket

    /// Makes it from its parts.
    package init(destination: IPEndpoint, socket: STUNServerSocket) {
        self.destination = destination
        self.socket = socket
    }
}

/// A response and where it goes.
package struct STUNReply: Sendable, Hashable {
    /// The message.
    package var bytes: [UInt8]
    /// Where it goes.
    package var route: STUNReplyRoute
}

/// What a STUN server did.
package struct STUNCounters: Sendable, Hashable {
    /// Messages that came.
    package var received = 0
    /// Requests answered with success.
    package var answered = 0
    /// Requests answered with an error.
    package var refused = 0
    /// Requests over the limit of their source, not answered.
    package var limited = 0
    /// Messages that are no Binding request, not answered.
    package var ignored = 0
    /// Bytes that are no STUN message, not answered.
    package var malformed = 0

    /// Makes counters at zero.
    package init() {}
}
