// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig
package import AditCore

/// How a server relays by TURN, on the ports of STUN.
package struct TURNSetup: Sendable, Equatable {
    /// The ports that relays are given (RFC 8656 section 7.2); never empty.
    package var ports = TURNConfiguration.standardPorts
    /// Whether peers may have private addresses.
    package var allowsPrivatePeers = false
    /// Blocks of peers that are allowed whatever they are.
    package var allowedPeers: [CIDR] = []
    /// Blocks of peers that are refused, before anything else is asked.
    package var refusedPeers: [CIDR] = []
    /// How many allocations there may be.
    package var maximumAllocations = TURNConfiguration.standardAllocations
    /// How many allocations a device may have.
    package var maximumAllocationsPerDevice = TURNConfiguration.standardAllocationsPerDevice
    /// How much a device may have relayed, both ways together; nil for any.
    package var bandwidthPerDevice: Bandwidth?
    /// How many datagrams a device may have relayed in a second, both ways together.
    package var packetsPerDevice = TURNConfiguration.standardPacketsPerDevice
    /// A secret that others make credentials with as well; nil when devices alone have credentials.
    package var secret: String?
    /// How long credentials of devices are good, at least.
    package var credentialLifetime = Duration.seconds(24 * 3600)

    /// Makes the defaults.
    package init() {}

    /// Takes what a configuration file says; nil when TURN is off.
    package init?(_ file: TURNConfiguration) {
        guard file.isOn else { return nil }
        ports = file.ports
        allowsPrivatePeers = file.allowsPrivatePeers
        allowedPeers = file.allowedPeers
        refusedPeers = file.refusedPeers
        maximumAllocations = file.maximumAllocations
        maximumAllocationsPerDevice = file.maximumAllocationsPerDevice
        bandwidthPerDevice = file.bandwidthPerDevice
        packetsPerDevice = file.packetsPerDevice
        secret = file.secret
    }
}
