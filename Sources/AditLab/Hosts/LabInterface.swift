// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// On which side of a NAT or firewall an interface lies.
package enum InterfaceSide: Sendable, Hashable {
    /// Where the sites are that it protects.
    case inside
    /// Where the rest of the internet is.
    case outside
}

/// Where a node is attached to a link.
package struct LabInterface {
    /// `eth0`, `eth1` …
    package let name: String
    /// Its addresses; the first of each family is the one from which the node sends.
    package internal(set) var addresses: [InterfaceAddress]
    /// On which side of a NAT it lies.
    package let side: InterfaceSide
    /// The link.
    package let link: LabLink
    /// Its number on the link.
    let attachment: Int

    /// Whether it has an address.
    func has(_ address: IPAddress) -> Bool {
        for own in addresses where own.address == address { return true }
        return false
    }

    /// The first address of a family; nil when it has none.
    func address(isIPv6: Bool) -> IPAddress? {
        for own in addresses where own.address.isIPv6 == isIPv6 { return own.address }
        return nil
    }
}
