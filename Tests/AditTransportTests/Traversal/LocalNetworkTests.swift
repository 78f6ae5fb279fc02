// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import Testing

struct LocalNetworkTests {
    @Test func `this machine's network hangs together`() {
        let network = LocalNetwork.current()
        #expect(Set(network.interfaces.map(\.name)).count == network.interfaces.count)
        for interface in network.interfaces {
            #expect(interface.mtu >= 68)
            #expect(!interface.addresses.contains { $0.isLoopback || $0.isUnspecified })
        }
        // A default route leaves through an interface, from one of its addresses.
        if let address = network.address {
            #expect(network.interfaces.contains { $0.isDefault && $0.addresses.contains(address) })
        }
        if network.gateway != nil || network.gatewayV6 != nil {
            #expect(network.interfaces.contains { $0.isDefault })
        }
    }
}
