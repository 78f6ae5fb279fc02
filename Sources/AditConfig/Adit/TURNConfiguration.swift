// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The keys of a server's configuration file that begin with `turn`.
package struct TURNConfiguration: Sendable, Equatable {
    /// The ports of relays in the absence of a wish (RFC 8656 section 7.2).
    package static let standardPorts: ClosedRange<UInt16> = 49152...65535
    /// How many allocations there may be in the absence of a wish.
    package static let standardAllocations = 4096
    /// How many allocations a device may have in the absence of a wish: a few for each device that it talks to at once.
    package static let standardAllocationsPerDevice = 32
    /// How many datagrams a device may have relayed in a second in the absence of a wish.
    package static let standardPacketsPerDevice = 100_000
    /// What the numbers of allocations may be.
    package static let allocations = 1...65_536
    /// What the number of datagrams may be.
    package static let packets = 1...100_000_000
    /// How many bytes a secret has at least.
    package static let shortestSecret = 16

    /// Whether there is TURN at all; without STUN there is none.
    package var isOn = true
    /// The ports that relays are given; none is below 1024.
    package var ports = standardPorts
    /// Whether peers may have private addresses.
    package var allowsPrivatePeers = false
    /// Blocks of peers that are allowed whatever they are.
    package var allowedPeers: [CIDR] = []
    /// Blocks of peers that are refused, before anything else is asked.
    package var refusedPeers: [CIDR] = []
    /// How many allocations there may be.
    package var maximumAllocations = standardAllocations
    /// How many allocations a device may have.
    package var maximumAllocationsPerDevice = standardAllocationsPerDevice
    /// How much a device may have relayed, both ways together; nil for any.
    package var bandwidthPerDevice: Bandwidth?
    /// How many datagrams a device may have relayed in a second, both ways together.
    package var packetsPerDevice = standardPacketsPerDevice
    /// A secret that others make credentials with as well; nil when devices alone have credentials.
    package var secret: String?

    /// Makes a configuration of defaults.
    package init() {}

    /// Reads `FIRST-LAST`, or one port; nil for anything else, and for a port below 1024.
    package static func ports(_ text: String) -> ClosedRange<UInt16>? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard (1...2).contains(parts.count), let first = parts[0], let last = parts[parts.count - 1],
            first >= 1024, first <= last
        else { return nil }
        return first...last
    }
}
