// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The keys of a server's configuration file that begin with `stun`.
package struct STUNConfiguration: Sendable, Equatable {
    /// An address of this machine on which STUN is answered, and as which clients know it.
    package struct Address: Sendable, Hashable {
        /// The address of this machine.
        package var own: IPAddress
        /// What clients are told: another one where a NAT in front of the server maps addresses one to one.
        package var announced: IPAddress

        /// Makes it from both; without `announced` it is known as itself.
        package init(_ own: IPAddress, announced: IPAddress? = nil) {
            self.own = own
            self.announced = announced ?? own
        }

        /// Reads `ADDRESS`, or `ANNOUNCED/OWN` with both of one family; nil for anything else.
        package init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { IPAddress($0)?.unmapped }
            guard let first = parts[0], !first.isUnspecified, parts.count <= 2 else { return nil }
            guard parts.count == 2 else {
                self.init(first)
                return
            }
            guard let own = parts[1], !own.isUnspecified, own.bytes.count == first.bytes.count else { return nil }
            self.init(own, announced: first)
        }
    }

    /// How many addresses of one family STUN can be on (RFC 5780 section 3).
    package static let maximumAddressesPerFamily = 2

    /// What `rate` may be.
    package static let rates = 1...1_000_000

    /// Whether STUN is answered at all.
    package var isOn = true
    /// The port of UDP and TCP; 0 lets the system choose, nil for 3478, without which the server runs as well.
    package var port: UInt16?
    /// The port of TLS; 0 lets the system choose, nil for 5349, without which the server runs as well.
    package var tlsPort: UInt16?
    /// The second port of UDP and TCP; 0 lets the system choose, nil for the one after `port`, without which the server
    /// runs as well.
    package var alternatePort: UInt16?
    /// The addresses, at most two of a family; empty for the address that every listener binds to.
    package var addresses: [Address] = []
    /// How many requests one address may send in a second, 1 to 1,000,000; an IPv6 address counts by its /64.
    package var rate = 100

    /// Makes a configuration of defaults.
    package init() {}

    /// What is wrong with a list of addresses; nil when nothing is.
    package static func fault(of addresses: [Address]) -> Text? {
        for list in [addresses.filter { $0.own.bytes.count == 4 }, addresses.filter { $0.own.bytes.count == 16 }] {
            if list.count > maximumAddressesPerFamily {
                return Text("STUN takes two addresses of a family at most", zh: "STUN 每个地址族最多两个地址")
            }
            if Set(list.map(\.own)).count < list.count || Set(list.map(\.announced)).count < list.count {
                return Text("the same address stands there twice", zh: "地址重复")
            }
        }
        return nil
    }
}
