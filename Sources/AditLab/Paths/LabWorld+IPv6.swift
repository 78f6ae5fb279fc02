// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension LabWorld {
    /// Gives the server and these sites IPv6, routed as it is, through each router's firewall.
    ///
    /// Sites behind a carrier's NAT have none: what is played there is IPv4.
    func addIPv6(_ sites: Set<SiteName>) {
        guard !sites.isEmpty else { return }
        func address(_ network: UInt64, _ number: UInt64) -> InterfaceAddress {
            InterfaceAddress(.v6(high: 0x2001_0DB8 << 32 | network << 16, low: number), prefixLength: 64)
        }
        extend(server, 0, address(1, 10))
        extend(internet, 0, address(1, 1))
        server.defaultRoute(via: address(1, 1).address)
        for (number, site) in SiteName.allCases.enumerated() where sites.contains(site) {
            guard let host = hosts[site], let router = boxes[site]?.first, boxes[site]?.count == 1 else { continue }
            let outside = UInt64(16 + number)
            let inside = UInt64(32 + number)
            guard router.interfaces.allSatisfy({ $0.address(isIPv6: true) == nil }),
                let outer = router.interfaces.firstIndex(where: { $0.side == .outside }),
                let inner = router.interfaces.firstIndex(where: { $0.side == .inside }),
                let line = internet.interfaces.firstIndex(where: { $0.link === router.interfaces[outer].link })
            else {
                // A second host of one home.
                if let router = boxes[site]?.first,
                    let network = router.interfaces.first(where: { $0.side == .inside })?.address(isIPv6: true),
                    case .v6(let high, _) = network
                {
                    extend(host, 0, InterfaceAddress(.v6(high: high, low: 3), prefixLength: 64))
                    host.defaultRoute(via: network)
                }
                continue
            }
            extend(router, outer, address(outside, 2))
            extend(router, inner, address(inside, 1))
            extend(internet, line, address(outside, 1))
            extend(host, 0, address(inside, 2))
            host.defaultRoute(via: address(inside, 1).address)
            router.defaultRoute(via: address(outside, 1).address)
            internet.route(address(inside, 0), via: address(outside, 2).address)
        }
    }

    private func extend(_ host: LabHost, _ interface: Int, _ address: InterfaceAddress) {
        host.changeAddresses(host.interfaces[interface].addresses + [address], interface: interface)
    }
}
