// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A local port that leads to a service of another device, as a person asked for it.
package struct VisitOrder: Sendable, Hashable {
    /// What the local port takes.
    package enum Kind: String, Sendable {
        case tcp
        case udp
        /// TCP and UDP on the same port.
        case both

        /// Whether it takes connections.
        package var hasConnections: Bool { self != .udp }
        /// Whether it takes datagrams.
        package var hasDatagrams: Bool { self != .tcp }
    }

    /// The service.
    package var place: ServicePlace
    /// What the local port takes.
    package var kind: Kind
    /// The address to listen at; nil for loopback of both families.
    package var address: IPAddress?
    /// The local port; 0 for a free one.
    package var port: UInt16
    /// What the service's visitors have to know; empty for nothing.
    package var secret = ""
    /// How long a connection waits for a direct path, without which it is not made; nil for any path.
    package var directTime: Duration?
    /// How long a silent flow of datagrams is remembered; nil for a minute.
    package var idleTimeout: Duration?

    /// Makes an order for a port of the loopback addresses.
    package init(_ place: ServicePlace, kind: Kind = .tcp, port: UInt16 = 0) {
        self.place = place
        self.kind = kind
        self.port = port
    }
}

/// What happens at the visitor's end of a service.
package enum VisitNews: Sendable, Equatable {
    /// Somebody on this machine came, and is led to the service.
    case came(ServiceVisitor)
    /// It is over.
    case left(ServiceVisitor, ServiceFigures)
    /// There was no direct path in time, and it was given to those who take it then.
    case fellBack(ServicePlace)
    /// It could not be led there; its connection was reset.
    case failed(ServicePlace, AditError)
}
