// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditWire

/// What a ``PortMappingClient`` tells whoever runs it.
package enum PortMappingEvent: Sendable, Hashable {
    /// A router answers this protocol.
    case found(PortMappingRouter)
    /// A port is open, and was tried from outside where that was possible; told again when anything about it changed.
    case mapped(PortMapping)
    /// The router keeps the port for longer.
    case renewed(PortMapping)
    /// A port that was open is not; it is asked for again.
    case lost(PortMapping, PortMappingLoss)
    /// The router's port does not lead to the internet.
    case doubleNAT(PortMappingDoubleNAT)
    /// No port can be had; it is tried again later, and when the network changes.
    case unavailable(PortMappingUnavailability)
    /// The end that `withdraw` began: the ports whose removal the router did not confirm.
    case withdrawn(unconfirmed: [PortMapping])
}

/// A router that opens ports.
package struct PortMappingRouter: Sendable, Hashable {
    /// By which protocol.
    package var `protocol`: PortMappingProtocol
    /// Its address inside.
    package var address: IPAddress
    /// Its address outside, as it says; nil when it does not.
    package var external: IPAddress?
    /// What it calls itself; empty when it does not.
    package var name: String
}

/// Why no port can be had.
package enum PortMappingUnavailability: Sendable, Hashable {
    /// This machine has no router.
    case noRouter
    /// The router answers none of the protocols.
    case noAnswer(router: IPAddress)
    /// The router answers, and refuses this.
    case refused(PortMappingWish, [PortMappingRefusal])
}

/// What a router said to a wish.
package struct PortMappingRefusal: Sendable, Hashable {
    /// What it means.
    package enum Reason: Sendable, Hashable {
        /// The router's owner forbids it.
        case notAuthorized
        /// The router has no more ports to give, to this machine or at all.
        case noResources
        /// The port is another's.
        case portTaken
        /// The router has no network outside.
        case notConnected
        /// A NAT stands between this machine and the router.
        case addressMismatch
        /// The router cannot do it in this way.
        case unsupported
        /// The router stopped answering.
        case noAnswer
        /// The router's answer makes no sense.
        case malformed
        /// Another error, by its number in the protocol.
        case failed(code: Int)
    }

    /// By which protocol.
    package var `protocol`: PortMappingProtocol
    /// What it means.
    package var reason: Reason

    /// Makes it from its parts.
    package init(_ protocol: PortMappingProtocol, _ reason: Reason) {
        self.protocol = `protocol`
        self.reason = reason
    }
}

/// Why a port that was open is not.
package enum PortMappingLoss: String, Sendable, Hashable {
    /// The router did not renew it in time.
    case expired
    /// The router started anew and forgot it.
    case routerRestarted
    /// The router gave it up, or to another.
    case takenAway
    /// This machine's address or router changed.
    case networkChanged
    /// A packet from outside no longer arrives.
    case unreachable
}
