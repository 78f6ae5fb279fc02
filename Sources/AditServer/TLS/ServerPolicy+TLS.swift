// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import NIOConcurrencyHelpers

extension ServerPolicy {
    /// Host and port at which a host's visitors are served with TLS that ends here, when they are to be sent there.
    @Sendable func secureAuthority(_ host: String) -> String? {
        let (port, isWanted) = changeable.withLockedValue { ($0.httpsPort, $0.setup.redirectsToTLS) }
        guard port != 0, isWanted, let name = HostName(host), certificates.certificate(for: name) != nil else {
            return nil
        }
        // Where TLS goes on to a device, what is served without it is another service.
        let route = table.tlsRoute(name)
        guard route.tunnel == nil || (!route.isExact && route.hasExactWebName) else { return nil }
        return PublicAddress.secureAuthority(host: name.text, port: port)
    }
}
