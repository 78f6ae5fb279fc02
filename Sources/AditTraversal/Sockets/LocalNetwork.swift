// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The interfaces and routers of this machine, as the driver found them.
package struct LocalNetwork: Sendable, Equatable {
    /// The interfaces that are up, without loopback.
    package var interfaces: [LocalInterface]
    /// The router of the IPv4 default route; nil when there is none.
    package var gateway: IPAddress?
    /// The router of the IPv6 default route; nil when there is none.
    package var gatewayV6: IPAddress?
    /// The address from which the IPv4 default route sends; nil when there is none.
    package var address: IPAddress?
    /// The address from which the IPv6 default route sends; nil when there is none.
    package var addressV6: IPAddress?

    /// Makes it from its parts.
    package init(
        interfaces: [LocalInterface] = [],
        gateway: IPAddress? = nil,
        gatewayV6: IPAddress? = nil,
        address: IPAddress? = nil,
        addressV6: IPAddress? = nil
    ) {
        self.interfaces = interfaces
        self.gateway = gateway
        self.gatewayV6 = gatewayV6
        self.address = address
        self.addressV6 = addressV6
    }
}

/// One interface of this machine.
package struct LocalInterface: Sendable, Equatable {
    /// The system's name, such as `eth0`.
    package var name: String
    /// Its addresses.
    package var addresses: [IPAddress]
    /// Whether it belongs to a container network, a virtual machine or a VPN rather than to a wire or radio.
    package var isVirtual: Bool
    /// Whether the IPv4 or IPv6 default route leaves through it.
    package var isDefault: Bool
    /// The largest packet, in bytes.
    package var mtu: Int

    /// Makes it from its parts.
    package init(
        name: String,
        addresses: [IPAddress],
        isVirtual: Bool = false,
        isDefault: Bool = false,
        mtu: Int = 1500
    ) {
        self.name = name
        self.addresses = addresses
        self.isVirtual = isVirtual
        self.isDefault = isDefault
        self.mtu = mtu
    }
}
