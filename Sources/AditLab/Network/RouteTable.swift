// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Where a node sends packets: the longest prefix wins.
struct RouteTable {
    /// One way.
    struct Route: Equatable {
        var network: AddressKey
        var mask: AddressKey
        /// Of the IPv6 form: an IPv4 prefix counts 96 more.
        var prefixLength: Int
        var interface: Int
        /// The next router; nil on a network where the destination itself is.
        var gateway: IPAddress?
    }

    /// What a way is found by where there are many.
    private struct Key: Hashable {
        var network: AddressKey
        var prefixLength: Int
    }

    /// The longest prefix first.
    private(set) var routes: [Route] = []
    /// The ways of a router between many networks; empty where `routes` is searched.
    private var index: [Key: Route] = [:]
    /// The lengths of prefixes that there are, the longest first.
    private var lengths: [(length: Int, mask: AddressKey)] = []
    /// Up to so many ways a search is quicker than to compute hashes.
    private static let searchLimit = 8

    /// Adds a way, replacing one to the same network.
    mutating func add(_ network: IPAddress, prefixLength: Int, interface: Int, gateway: IPAddress?) {
        let length = network.isIPv6 ? prefixLength : prefixLength + 96
        let mask = Self.mask(length)
        let key = AddressKey(network)
        let route = Route(
            network: AddressKey(high: key.high & mask.high, low: key.low & mask.low),
            mask: mask,
            prefixLength: length,
            interface: interface,
            gateway: gateway
        )
        routes.removeAll { $0.network == route.network && $0.prefixLength == length }
        let place = routes.firstIndex { $0.prefixLength < length } ?? routes.count
        routes.insert(route, at: place)
        makeIndex()
    }

    /// Forgets the ways through an interface, or only those without a gateway.
    mutating func remove(interface: Int, onlyDirect: Bool) {
        routes.removeAll { $0.interface == interface && (!onlyDirect || $0.gateway == nil) }
        makeIndex()
    }

    private mutating func makeIndex() {
        index.removeAll()
        lengths.removeAll()
        guard routes.count > Self.searchLimit else { return }
        for route in routes {
            index[Key(network: route.network, prefixLength: route.prefixLength)] = route
            if lengths.last?.length != route.prefixLength { lengths.append((route.prefixLength, route.mask)) }
        }
    }

    /// Where packets to an address go; nil when no way is known.
    func lookup(_ address: IPAddress) -> Route? {
        let key = AddressKey(address)
        let isIPv6 = address.isIPv6
        guard index.isEmpty else {
            for (length, mask) in lengths where length >= 96 || isIPv6 {
                let network = AddressKey(high: key.high & mask.high, low: key.low & mask.low)
                if let route = index[Key(network: network, prefixLength: length)] { return route }
            }
            return nil
        }
        for route in routes
        where key.low & route.mask.low == route.network.low && key.high & route.mask.high == route.network.high
            && (route.prefixLength >= 96 || isIPv6)
        {
            return route
        }
        return nil
    }

    private static func mask(_ length: Int) -> AddressKey {
        let high = min(length, 64)
        let low = max(0, length - 64)
        return AddressKey(
            high: high == 0 ? 0 : UInt64.max << UInt64(64 - high),
            low: low == 0 ? 0 : UInt64.max << UInt64(64 - low)
        )
    }
}
