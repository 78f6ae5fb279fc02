// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import NIOConcurrencyHelpers

/// What the table says about the server name of a TLS connection.
struct TLSRoute {
    /// The tunnel that gets the connection untouched; nil when none has the name.
    var tunnel: OpenTunnel?
    /// Whether `tunnel` has the very name, not a pattern.
    var isExact = false
    /// Whether an http tunnel has the very name.
    var hasExactWebName = false
    /// Whether anybody has the name: a tunnel by name or pattern, or the lease of a device that is away.
    var isKnown = false
}

extension TunnelTable {
    /// Looks a server name up among tunnels of TLS and of HTTP.
    func tlsRoute(_ host: HostName) -> TLSRoute {
        box.withLockedValue { state in
            let registry = state.registry
            var found = TLSRoute()
            if let id = registry.tlsRoutes.lookup(host, path: "/", user: nil), let tunnel = state.tunnels[id],
                tunnel.isReady
            {
                found.tunnel = tunnel
                found.isExact = registry.tlsRoutes.pattern(for: host) == host.text
            }
            let webName = registry.routes.pattern(for: host)
            found.hasExactWebName = webName == host.text
            let lease = state.nameLeases[Self.leaseName(of: host, domain: state.domain)]
            found.isKnown = found.tunnel != nil || webName != nil || lease.map { $0.deviceRemoved == nil } ?? false
            return found
        }
    }
}
