// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig

/// How a server answers STUN.
package struct STUNSetup: Sendable, Equatable {
    /// The port of STUN over UDP and TCP (RFC 8489 section 18.6).
    package static let standardPort: UInt16 = 3478
    /// The port of STUN over TLS.
    package static let standardTLSPort: UInt16 = 5349

    /// The port of UDP and TCP; 0 lets the system choose.
    package var port = standardPort
    /// Whether the server starts without STUN when `port` is not to be had.
    package var isPortOptional = false
    /// The port of TLS; 0 lets the system choose.
    package var tlsPort = standardTLSPort
    /// Whether the server starts without it when `tlsPort` is not to be had.
    package var isTLSPortOptional = false
    /// The second port of UDP and TCP; 0 lets the system choose.
    package var alternatePort = standardPort + 1
    /// Whether the server starts without it when `alternatePort` is not to be had.
    package var isAlternatePortOptional = false
    /// The addresses, at most two of a family; empty for the one that the server listens on.
    package var addresses: [STUNConfiguration.Address] = []
    /// How many requests one source may send in a second, 1 to 1,000,000; an IPv6 address counts by its /64. Enough for a machine that samples its
    /// NAT with bursts, and for several behind one address; too little for answers to harm whom they are aimed at.
    package var requestsPerSecond = 100

    /// Makes the defaults.
    package init() {}

    /// Takes what a configuration file says; nil when STUN is off.
    package init?(_ file: STUNConfiguration) {
        guard file.isOn else { return nil }
        port = file.port ?? Self.standardPort
        tlsPort = file.tlsPort ?? Self.standardTLSPort
        alternatePort = file.alternatePort ?? Self.alternate(to: port)
        // Nobody asked for these ports: a server that ran well without them goes on.
        isPortOptional = file.port == nil && file.addresses.isEmpty
        isTLSPortOptional = file.tlsPort == nil
        isAlternatePortOptional = file.alternatePort == nil && file.addresses.isEmpty
        addresses = file.addresses
        requestsPerSecond = file.rate
    }

    /// The second port in the absence of a wish: the next one.
    private static func alternate(to port: UInt16) -> UInt16 {
        switch port {
        case 0: 0
        case .max: port - 1
        default: port + 1
        }
    }
}
