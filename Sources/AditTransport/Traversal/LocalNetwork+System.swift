// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
import CAditPlatform
import Glibc

extension LocalNetwork {
    /// An address in each family for which the way is asked; it is nobody's, and nothing is sent to it.
    private static let somewhere: [IPAddress] = [.v4(0xC058_6301), .v6(high: 0x2600_0000_0000_0000, low: 1)]

    /// The interfaces and default routes of this machine as they are now.
    package static func current() -> LocalNetwork {
        network(somewhere.compactMap { DefaultRoute(to: $0) })
    }

    /// The same as it would be if the default routes left through the named interface, and no other were there; nil when
    /// none of that name is up.
    package static func current(interface name: String) -> LocalNetwork? {
        let index = if_nametoindex(name)
        guard index != 0 else { return nil }
        var network = network(somewhere.compactMap { DefaultRoute(to: $0, through: index) })
        network.interfaces.removeAll { $0.name != name }
        guard let interface = network.interfaces.first else { return nil }
        // Without a route of its own it still has the addresses that others on its link know.
        let usable = interface.addresses.filter { !$0.isLinkLocal }
        network.address = network.address ?? usable.first { if case .v4 = $0 { true } else { false } }
        network.addressV6 = network.addressV6 ?? usable.first { if case .v6 = $0 { true } else { false } }
        return network
    }

    /// The address from which datagrams to a destination would leave; nil where there is no way to it.
    package static func source(to destination: IPAddress) -> IPAddress? {
        DefaultRoute(to: destination)?.source
    }

    private static func network(_ routes: [DefaultRoute]) -> LocalNetwork {
        var network = LocalNetwork(interfaces: interfaces(defaultIndexes: Set(routes.map(\.interface))))
        for route in routes {
            switch route.destination {
            case .v4: (network.gateway, network.address) = (route.gateway, route.source)
            case .v6: (network.gatewayV6, network.addressV6) = (route.gateway, route.source)
            }
        }
        return network
    }

    private static func interfaces(defaultIndexes: Set<UInt32>) -> [LocalInterface] {
        var found: [LocalInterface] = []
        for (name, address) in InterfaceAddress.all() {
            if let index = found.firstIndex(where: { $0.name == name }) {
                if let address { found[index].addresses.append(address) }
                continue
            }
            let isDefault = defaultIndexes.contains(if_nametoindex(name))
            let mtu = adit_interface_mtu(name)
            found.append(
                LocalInterface(
                    name: name,
                    addresses: address.map { [$0] } ?? [],
                    isVirtual: InterfaceKind.isVirtual(name, isDefault: isDefault),
                    isDefault: isDefault,
                    mtu: mtu > 0 ? Int(mtu) : 1500
                )
            )
        }
        return found
    }
}

/// The way to the internet in one family.
private struct DefaultRoute {
    let destination: IPAddress
    let gateway: IPAddress?
    let source: IPAddress?
    let interface: UInt32

    /// Asks the kernel; nil when there is none.
    init?(to destination: IPAddress, through index: UInt32 = 0) {
        var raw = DatagramPath(to: IPEndpoint(destination, 0)).raw
        var route = adit_route()
        guard adit_route_to(&raw, index, &route) == 0, route.interface != 0 else { return nil }
        self.destination = destination
        gateway = .read(route.gateway_family, route.gateway_high, route.gateway_low)
        source = .read(route.source_family, route.source_high, route.source_low)
        interface = route.interface
    }
}

/// Which interface a socket uses where its address alone does not say so.
struct InterfaceScopes {
    private var indexes: [IPAddress: UInt32] = [:]
    private var ofDefaultRoute: UInt32 = 0
    private var ofDefaultRouteV4: UInt32 = 0

    static func current() -> InterfaceScopes {
        var scopes = InterfaceScopes()
        for (name, address) in InterfaceAddress.all() {
            if let address { scopes.indexes[address] = if_nametoindex(name) }
        }
        scopes.ofDefaultRoute = DefaultRoute(to: .v6(high: 0x2600_0000_0000_0000, low: 1))?.interface ?? 0
        scopes.ofDefaultRouteV4 = DefaultRoute(to: .v4(0xC058_6301))?.interface ?? 0
        return scopes
    }

    /// For multicast and link-local addresses of IPv6, which have no zone here: the number of the interface that has the
    /// address, or of the one of the default route.
    func index(of address: IPAddress?) -> UInt32 {
        address.flatMap { indexes[$0] } ?? ofDefaultRoute
    }

    /// The number of a named interface, when sockets may be bound to it; else 0.
    func device(named name: String) -> UInt32 {
        let index = if_nametoindex(name)
        return index != 0 && adit_probe_may_bind(index) == 0 ? index : 0
    }

    /// The number of the interface that has an IPv4 address when it is not that of the default route; else 0.
    ///
    /// Without routing by source, what is sent from such an address would leave through the default route's interface,
    /// and be seen as what that one's router makes of it.
    func device(besideDefaultRoute address: IPAddress) -> UInt32 {
        guard case .v4 = address, ofDefaultRouteV4 != 0, let index = indexes[address], index != ofDefaultRouteV4 else {
            return 0
        }
        return index
    }
}

/// The addresses of interfaces that are up (getifaddrs(3)).
enum InterfaceAddress {
    /// Each interface with each of its addresses; one without an address once. Loopback is left out.
    static func all() -> [(name: String, address: IPAddress?)] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [(name: String, address: IPAddress?)] = []
        var entry = list
        while let current = entry?.pointee {
            entry = current.ifa_next
            let flags = current.ifa_flags
            guard flags & UInt32(IFF_UP) != 0, flags & UInt32(IFF_LOOPBACK) == 0 else { continue }
            let name = String(cString: current.ifa_name)
            let address = current.ifa_addr.flatMap(read)
            if address != nil || !found.contains(where: { $0.name == name }) { found.append((name, address)) }
        }
        return found
    }

    private static func read(_ place: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        let bytes = UnsafeRawPointer(place)
        switch Int32(place.pointee.sa_family) {
        case AF_INET: return .v4(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        case AF_INET6:
            return .v6(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            )
        default: return nil
        }
    }
}

/// What stands behind the name of an interface.
enum InterfaceKind {
    private static let virtualNames = [
        "docker", "br-", "veth", "virbr", "vnet", "vmnet", "vboxnet", "tun", "tap", "wg", "tailscale", "zt", "cni",
        "flannel", "cali", "lxc", "lxdbr", "podman", "utun", "ham", "nebula", "dummy",
    ]
    private static let realNames = ["eth", "en", "wl", "ww", "bond", "usb", "ppp"]

    /// Whether the interface belongs to containers, virtual machines or a VPN.
    ///
    /// One with another name and no device behind it (sysfs) is taken for virtual unless the default route uses it.
    static func isVirtual(_ name: String, isDefault: Bool) -> Bool {
        if virtualNames.contains(where: name.hasPrefix) { return true }
        let folder = "/sys/class/net/" + name
        if access(folder + "/tun_flags", F_OK) == 0 { return true }
        if isDefault || realNames.contains(where: name.hasPrefix) { return false }
        return access(folder, F_OK) == 0 && access(folder + "/device", F_OK) != 0
    }
}

extension IPAddress {
    fileprivate static func read(_ family: UInt8, _ high: UInt64, _ low: UInt64) -> IPAddress? {
        switch family {
        case 4: .v4(UInt32(truncatingIfNeeded: low))
        case 6: .v6(high: high, low: low)
        default: nil
        }
    }
}
