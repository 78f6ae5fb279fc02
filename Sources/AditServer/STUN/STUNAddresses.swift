// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTraversal

/// The addresses on which STUN is answered, in pairs as far as RFC 5780 can use them.
struct STUNAddresses: Sendable, Equatable {
    /// One or two addresses of a family.
    struct Pair: Sendable, Equatable {
        var primary: STUNConfiguration.Address
        var alternate: STUNConfiguration.Address?

        /// What a server announces of it.
        var announced: STUNServerConfiguration.Addresses {
            STUNServerConfiguration.Addresses(primary: primary.announced, alternate: alternate?.announced)
        }
    }

    /// The IPv4 addresses; nil when none is known in advance.
    var v4: Pair?
    /// The IPv6 addresses; nil when none is known in advance.
    var v6: Pair?

    /// Pairs addresses in their order; a third one of a family is left out.
    init(_ addresses: [STUNConfiguration.Address]) {
        let pair = { (addresses: [STUNConfiguration.Address]) in
            addresses.first.map { Pair(primary: $0, alternate: addresses.dropFirst().first) }
        }
        v4 = pair(addresses.filter { $0.own.unmapped.isIPv4 })
        v6 = pair(addresses.filter { !$0.own.unmapped.isIPv4 })
    }

    /// The two lowest public addresses of each family that this machine has two of, and none of a family with fewer.
    ///
    /// - Parameter own: the addresses of this machine that stay, thus without temporary ones (RFC 8981).
    init(foundAmong own: some Sequence<IPAddress>) {
        var found: [STUNConfiguration.Address] = []
        let all = Set(own.map(\.unmapped)).filter(\.isPublic)
        for isIPv4 in [true, false] {
            let family = all.filter { $0.isIPv4 == isIPv4 }.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            if family.count >= 2 { found += family.prefix(2).map { STUNConfiguration.Address($0) } }
        }
        self.init(found)
    }

    /// The pair that an address of this machine belongs to; nil for any other address.
    func pair(of own: IPAddress) -> Pair? {
        guard let pair = own.isIPv4 ? v4 : v6, pair.primary.own == own || pair.alternate?.own == own else { return nil }
        return pair
    }
}

extension IPAddress {
    var isIPv4: Bool {
        switch self {
        case .v4: true
        case .v6: false
        }
    }

    /// Whether it can be an address on the internet (RFC 6890). Those for documentation count, since nobody else has them
    /// and laboratories do.
    fileprivate var isPublic: Bool {
        switch self {
        case .v4(let number):
            switch (number >> 24, number >> 16 & 255) {
            case (0, _), (10, _), (127, _), (224..., _), (169, 254), (172, 16...31), (192, 168): false
            case (100, 64...127), (198, 18...19): false
            default: true
            }
        case .v6(let high, _):
            // 2000::/3 without Teredo and 6to4, behind which is an IPv4 NAT or a relay.
            high >> 61 == 1 && high >> 32 != 0x2001_0000 && high >> 48 != 0x2002
        }
    }
}
