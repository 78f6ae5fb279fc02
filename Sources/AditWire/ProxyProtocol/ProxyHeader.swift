// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The header of the PROXY protocol: who opened a connection that somebody else carries (HAProxy, proxy-protocol.txt).
package struct ProxyHeader: Sendable, Equatable {
    /// Whose connection it is (section 2.2, the command).
    package enum Command: Sendable, Equatable {
        /// The carrier's own, such as a health check: the addresses are those of the connection itself.
        case local
        /// A visitor's.
        case proxy
    }

    /// What is carried (section 2.2, the transport protocol).
    package enum Transport: Sendable, Equatable {
        case stream
        case datagram
    }

    /// Where a connection comes from and where it went.
    package struct Addresses: Sendable, Equatable {
        /// The visitor.
        package var source: IPEndpoint
        /// What the visitor connected to, of the same family as `source`.
        package var destination: IPEndpoint

        /// Makes a pair; when the families differ, the IPv4 address becomes an IPv4-mapped one.
        package init(source: IPEndpoint, destination: IPEndpoint) {
            let from = source.address.unmapped
            let to = destination.address.unmapped
            switch (from, to) {
            case (.v4, .v4), (.v6, .v6):
                self.source = IPEndpoint(from, source.port)
                self.destination = IPEndpoint(to, destination.port)
            case (.v4, .v6), (.v6, .v4):
                self.source = IPEndpoint(Self.mapped(from), source.port)
                self.destination = IPEndpoint(Self.mapped(to), destination.port)
            }
        }

        /// RFC 4291 section 2.5.5.2.
        private static func mapped(_ address: IPAddress) -> IPAddress {
            guard case .v4(let number) = address else { return address }
            return .v6(high: 0, low: 0xFFFF_0000_0000 | UInt64(number))
        }
    }

    /// Whose connection it is.
    package var command: Command
    /// What is carried.
    package var transport: Transport
    /// The addresses; nil when the carrier does not know them, or they are of a family that is neither IPv4 nor IPv6.
    package var addresses: Addresses?

    /// Makes a header.
    package init(command: Command = .proxy, transport: Transport = .stream, addresses: Addresses?) {
        self.command = command
        self.transport = transport
        self.addresses = addresses
    }

    /// A visitor's header; without a source the visitor is unknown, without a destination that is `127.0.0.1:0`.
    ///
    /// frp names that destination too when it knows none.
    package init(visitor source: IPEndpoint?, to destination: IPEndpoint?, transport: Transport = .stream) {
        let to = destination ?? IPEndpoint(.v4(0x7F00_0001), 0)
        self.init(transport: transport, addresses: source.map { Addresses(source: $0, destination: to) })
    }
}
