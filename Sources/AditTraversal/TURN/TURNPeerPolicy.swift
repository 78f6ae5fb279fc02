// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// To which peers a relay may send; what this forbids is refused with 403.
package struct TURNPeerPolicy: Sendable, Equatable {
    /// Whether private addresses (RFC 1918, RFC 4193, 100.64.0.0/10) are allowed.
    package var allowsPrivate: Bool
    /// Blocks that are allowed whatever they are, except multicast, broadcast and unspecified addresses.
    package var allowed: [CIDR]
    /// Blocks that are refused, before anything else is asked.
    package var refused: [CIDR]
    /// The addresses of the server's own host; relays on them are reached inside the server, nothing else on them is.
    package var own: [IPAddress]

    /// Makes a policy; the default allows the public internet alone.
    package init(
        allowsPrivate: Bool = false,
        allowed: [CIDR] = [],
        refused: [CIDR] = [],
        own: [IPAddress] = []
    ) {
        self.allowsPrivate = allowsPrivate
        self.allowed = allowed
        self.refused = refused
        self.own = own
    }

    /// Whether a relay may send to an address.
    package func permits(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        if Self.isNobody(address) { return false }
        if refused.contains(where: { $0.contains(address) }) { return false }
        if allowed.contains(where: { $0.contains(address) }) { return true }
        if own.contains(where: { $0.unmapped == address }) { return false }
        if let inner = Self.embedded(in: address), !permits(inner) { return false }
        if address.isLoopback || address.isLinkLocal || address.isMetadataService { return false }
        if Self.isTranslatedHere(address) { return false }
        switch AddressRealm(address) {
        case .public: return true
        case .carrier: return allowsPrivate
        case .private: return allowsPrivate && Self.isPrivateNetwork(address)
        }
    }

    /// Whether no single host has the address: unspecified, multicast, reserved, broadcast, "this network".
    private static func isNobody(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let number): number >> 24 == 0 || number >> 28 >= 14
        case .v6(let high, let low): high >> 56 == 0xFF || (high == 0 && low == 0)
        }
    }

    private static func isPrivateNetwork(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let number): number >> 24 == 10 || number >> 20 == 0xAC1 || number >> 16 == 0xC0A8
        case .v6(let high, _): high >> 57 == 0xFC >> 1
        }
    }

    /// Whether only translators of the own network have the address, which may lead anywhere in it (64:ff9b:1::/48, RFC 8215),
    /// or it is of a site without being unique (fec0::/10, RFC 3879).
    private static func isTranslatedHere(_ address: IPAddress) -> Bool {
        guard case .v6(let high, _) = address else { return false }
        return high >> 16 == 0x0064_FF9B_0001 || high >> 54 == 0xFEC0 >> 6
    }

    /// The IPv4 address to which a translator or tunnel would carry a datagram: NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo
    /// (RFC 4380 section 4), ISATAP (RFC 5214 section 6.1), IPv4-compatible addresses (RFC 4291 section 2.5.5.1).
    private static func embedded(in address: IPAddress) -> IPAddress? {
        guard case .v6(let high, let low) = address else { return nil }
        if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 { return .v4(UInt32(truncatingIfNeeded: low)) }
        if high >> 48 == 0x2002 { return .v4(UInt32(truncatingIfNeeded: high >> 16)) }
        if high >> 32 == 0x2001_0000 { return .v4(~UInt32(truncatingIfNeeded: low)) }
        if low >> 32 & ~0x0300_0000 == 0x5EFE { return .v4(UInt32(truncatingIfNeeded: low)) }
        if high == 0, low >> 32 == 0, low > 1 { return .v4(UInt32(truncatingIfNeeded: low)) }
        return nil
    }
}
