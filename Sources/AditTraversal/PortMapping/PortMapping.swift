// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// A protocol by which a router is asked for a port.
package enum PortMappingProtocol: String, Sendable, Hashable, CaseIterable {
    /// Port Control Protocol (RFC 6887).
    case pcp
    /// NAT Port Mapping Protocol (RFC 6886).
    case natPMP
    /// UPnP Internet Gateway Device, version 1 or 2.
    case upnp

    /// The name that people know.
    package var name: String {
        switch self {
        case .pcp: "PCP"
        case .natPMP: "NAT-PMP"
        case .upnp: "UPnP"
        }
    }
}

/// A port that is wanted at the router.
package struct PortMappingWish: Sendable, Hashable {
    /// What the port belongs to.
    package var transport: PortMappingTransport
    /// The port of this machine, 1 to 65535.
    package var internalPort: UInt16
    /// The wanted external port; nil for the same as the internal one.
    package var externalPort: UInt16?
    /// Whether no other external port will do.
    package var isExact: Bool
    /// How long the router is asked to keep it, in seconds; it is renewed in time.
    package var lifetime: UInt32

    /// Makes it from its parts.
    package init(
        _ transport: PortMappingTransport,
        internalPort: UInt16,
        externalPort: UInt16? = nil,
        isExact: Bool = false,
        lifetime: UInt32 = 7200
    ) {
        precondition(internalPort > 0 && externalPort != 0 && lifetime > 0, "ports and lifetimes are not 0")
        self.transport = transport
        self.internalPort = internalPort
        self.externalPort = externalPort
        self.isExact = isExact
        self.lifetime = lifetime
    }
}

/// A port that the router keeps open.
package struct PortMapping: Sendable, Hashable {
    /// What was wanted.
    package var wish: PortMappingWish
    /// Where packets arrive on this machine.
    package var inside: IPEndpoint
    /// Where the router takes them, as the router says; an unspecified address where it does not say which.
    package var external: IPEndpoint
    /// By which protocol.
    package var `protocol`: PortMappingProtocol
    /// The router.
    package var router: IPAddress
    /// How long the router promised to keep it; nil for ever.
    package var lifetime: Duration?
    /// How often it was renewed.
    package var renewals: Int
    /// Whether packets from outside were seen to arrive.
    package var verification: PortMappingVerification
    /// What stands between the router and the internet; nil for nothing that is known.
    package var doubleNAT: PortMappingDoubleNAT?

    /// Makes it from its parts.
    package init(
        wish: PortMappingWish,
        inside: IPEndpoint,
        external: IPEndpoint,
        protocol: PortMappingProtocol,
        router: IPAddress,
        lifetime: Duration?,
        renewals: Int,
        verification: PortMappingVerification,
        doubleNAT: PortMappingDoubleNAT?
    ) {
        self.wish = wish
        self.inside = inside
        self.external = external
        self.protocol = `protocol`
        self.router = router
        self.lifetime = lifetime
        self.renewals = renewals
        self.verification = verification
        self.doubleNAT = doubleNAT
    }

    /// Whether a packet from outside arrived through it.
    package var isVerified: Bool {
        if case .verified = verification { true } else { false }
    }
}

/// Whether a mapping was tried from outside.
package enum PortMappingVerification: Sendable, Hashable {
    /// A packet from this server arrived through it; `isAlternate` when it came from an address that nothing was sent to.
    case verified(by: IPEndpoint, isAlternate: Bool)
    /// The server was asked to send a packet through it, and none arrived.
    case failed(by: IPEndpoint)
    /// It was not tried.
    case notChecked(PortMappingDoubt)
}

/// Why a mapping was not tried from outside.
package enum PortMappingDoubt: String, Sendable, Hashable, CaseIterable {
    /// No server of the address family was named.
    case noServer
    /// The server did not answer.
    case serverSilent
    /// The server does not know RESPONSE-PORT (RFC 5780).
    case serverUnable
    /// A program of this machine uses the port, so that the answer would be its to read.
    case portInUse
    /// The server cannot try this TCP port: it does not connect back, or sees another port than the mapped one.
    case tcp
}

/// Why a mapped port is not reachable from the internet although the router opened it: another NAT in front of the router.
package struct PortMappingDoubleNAT: Sendable, Hashable {
    /// How it was recognised.
    package enum Evidence: String, Sendable, Hashable {
        /// The router's address outside is a private one (RFC 1918), or no address of the internet at all.
        case privateAddress
        /// The router's address outside is one that carriers share among subscribers (100.64.0.0/10, RFC 6598).
        case carrierAddress
        /// Servers see another address than the router's.
        case otherAddress
    }

    /// How it was recognised.
    package var evidence: Evidence
    /// The router's address outside.
    package var external: IPAddress
    /// The address that a server saw; nil when none was asked.
    package var seen: IPAddress?

    /// What the addresses tell; nil when nothing speaks for another NAT.
    init?(external: IPAddress, seen: IPAddress?) {
        guard !external.isUnspecified else { return nil }
        self.external = external
        self.seen = seen
        switch AddressRealm(external) {
        case .carrier: evidence = .carrierAddress
        case .private: evidence = .privateAddress
        case .public:
            guard let seen, seen != external else { return nil }
            evidence = .otherAddress
        }
    }
}
