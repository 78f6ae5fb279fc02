// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// To whom an address belongs.
package enum AddressRealm: String, Sendable, Hashable, CaseIterable {
    /// A private network (RFC 1918, RFC 4193), one machine or link alone, or no address of the internet for another reason:
    /// between a home and its carrier's DS-Lite (192.0.0.0/29, RFC 6333), multicast, reserved.
    case `private`
    /// Between subscribers and their carrier's NAT: 100.64.0.0/10 (RFC 6598).
    case carrier
    /// The internet.
    case `public`

    /// The realm of an address.
    package init(_ address: IPAddress) {
        switch address.unmapped {
        case .v4(let number):
            switch number {
            case 0x6440_0000...0x647F_FFFF: self = .carrier
            case 0x0A00_0000...0x0AFF_FFFF, 0xAC10_0000...0xAC1F_FFFF, 0xC0A8_0000...0xC0A8_FFFF:
                self = .private
            case 0...0x00FF_FFFF, 0x7F00_0000...0x7FFF_FFFF, 0xA9FE_0000...0xA9FE_FFFF: self = .private
            case 0xC000_0000...0xC000_0007, 0xE000_0000...0xFFFF_FFFF: self = .private
            default: self = .public
            }
        case .v6(let high, _):
            let isUnique = high >> 57 == 0xFC >> 1
            self = isUnique || address.isLinkLocal || high == 0 ? .private : .public
        }
    }

    /// Whether a router of the local network may have the address.
    static func isLocal(_ address: IPAddress) -> Bool {
        guard !address.isLoopback, !address.isUnspecified else { return false }
        if case .v4(let number) = address.unmapped, number >> 29 == 7 { return false }
        return AddressRealm(address) != .public
    }
}
