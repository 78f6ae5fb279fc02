// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A block of addresses by prefix (RFC 4632), such as `192.168.0.0/16`.
package struct CIDR: Hashable, Sendable, CustomStringConvertible {
    /// The first address of the block: the bits beyond the prefix are zero.
    package let network: IPAddress
    /// How many leading bits are fixed: 0 to 32 for IPv4, 0 to 128 for IPv6.
    package let prefixLength: Int

    /// Reads `address/length`, or an address alone as a block of one; nil for anything else.
    ///
    /// Bits beyond the prefix are cleared, so that `10.1.2.3/8` is read as `10.0.0.0/8`.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        let width = address.bytes.count * 8
        guard parts.count == 2 else {
            self.init(address, prefixLength: width)
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
            let length = Int(parts[1]), length <= width
        else { return nil }
        self.init(address, prefixLength: length)
    }

    private init(_ address: IPAddress, prefixLength: Int) {
        self.prefixLength = prefixLength
        network = Self.mask(address, prefixLength)
    }

    /// Whether the block holds the address; an IPv4-mapped IPv6 address counts as its IPv4 address.
    package func contains(_ address: IPAddress) -> Bool {
        switch (network, address.unmapped) {
        case (.v4, .v4), (.v6, .v6): Self.mask(address.unmapped, prefixLength) == network
        default: false
        }
    }

    package var description: String { "\(network)/\(prefixLength)" }

    private static func mask(_ address: IPAddress, _ length: Int) -> IPAddress {
        switch address {
        case .v4(let number):
            return .v4(length == 0 ? 0 : number & (UInt32.max << UInt32(32 - length)))
        case .v6(let high, let low):
            let highBits = min(length, 64)
            let lowBits = max(0, length - 64)
            return .v6(
                high: highBits == 0 ? 0 : high & (UInt64.max << UInt64(64 - highBits)),
                low: lowBits == 0 ? 0 : low & (UInt64.max << UInt64(64 - lowBits))
            )
        }
    }
}
