// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An address as two numbers, quick to mask, to compare and to hash; IPv4 as its IPv4-mapped form.
struct AddressKey: Hashable {
    var high: UInt64
    var low: UInt64

    static let none = AddressKey(high: 0, low: 0)

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ address: IPAddress) {
        switch address {
        case .v4(let number): (high, low) = (0, 0xFFFF_0000_0000 | UInt64(number))
        case .v6(let high, let low): (self.high, self.low) = (high, low)
        }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(low &+ high &* 0x9E37_79B9_7F4A_7C15)
    }
}

/// An endpoint in the form of ``AddressKey``.
struct EndpointKey: Hashable {
    var address: AddressKey
    var port: UInt16

    static let none = EndpointKey(address: .none, port: 0)

    init(address: AddressKey, port: UInt16) {
        self.address = address
        self.port = port
    }

    init(_ endpoint: IPEndpoint) {
        address = AddressKey(endpoint.address)
        port = endpoint.port
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine((address.low &+ address.high &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(port) << 48)
    }
}

/// An address with the length of its network's prefix, such as `192.168.1.2/24`.
package struct InterfaceAddress: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The address.
    package var address: IPAddress
    /// How many leading bits name the network.
    package var prefixLength: Int

    /// Makes it from its parts.
    package init(_ address: IPAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Reads `address/length`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let length = Int(parts[1]),
            (0...(address.isIPv6 ? 128 : 32)).contains(length)
        else { return nil }
        self.init(address, prefixLength: length)
    }

    /// Reads what a scenario spells; traps when it is not an address with a prefix.
    package init(stringLiteral value: String) {
        guard let read = InterfaceAddress(value) else { preconditionFailure("not an address/length: \(value)") }
        self = read
    }

    package var description: String { "\(address)/\(prefixLength)" }
}
