// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import NIOConcurrencyHelpers
import NIOCore

extension TunnelTable: HTTPRouteTable {
    package func route(host: String, path: String, user: String?) -> HTTPRouteLookup {
        guard let name = HostName(host) else { return .unknownName }
        let found: HTTPRouteSource = box.withLockedValue { state in
            if let id = state.registry.routes.lookup(name, path: path, user: user), let tunnel = state.tunnels[id],
                tunnel.isReady
            {
                return .tunnel(tunnel)
            }
            let leaseName = Self.leaseName(of: name, domain: state.domain)
            guard let lease = state.nameLeases[leaseName], lease.deviceRemoved == nil else { return .nothing }
            return .lease(lease)
        }
        switch found {
        case .tunnel(let tunnel): return .found(tunnel.route(shownName: name.text))
        case .lease(let lease): return .found(Self.offlineRoute(lease, host: name.text))
        case .nothing: return .unknownName
        }
    }

    private enum HTTPRouteSource {
        case tunnel(OpenTunnel)
        case lease(NameLease)
        case nothing
    }

    private static func offlineRoute(_ lease: NameLease, host: String) -> HTTPRoute {
        HTTPRoute(
            tunnelName: lease.name,
            deviceName: lease.deviceName,
            target: lease.target,
            state: .offline(since: lease.lastUsed),
            open: { _, loop in loop.makeFailedFuture(TunnelFault.closed) }
        )
    }
}

/// The route table of a tunnel that has a port of its own: whatever host is asked for, it is this tunnel's.
struct SingleRoute: HTTPRouteTable {
    let tunnel: OpenTunnel

    func route(host: String, path: String, user: String?) -> HTTPRouteLookup {
        tunnel.isReady ? .found(tunnel.route(shownName: tunnel.shownName)) : .unknownName
    }
}

extension OpenTunnel {
    /// The tunnel as the reverse proxy sees it.
    func route(shownName: String) -> HTTPRoute {
        HTTPRoute(
            id: id.number,
            tunnelName: hosts.first?.leaseName ?? shownName,
            proxyName: proxyName,
            deviceName: session.identity.name,
            target: terms.target,
            auth: terms.auth,
            allow: terms.allow,
            speaksHTTP2: request.adit?.http2 ?? false,
            hostHeaderRewrite: request.hostHeaderRewrite,
            requestHeaders: request.headers,
            responseHeaders: request.responseHeaders,
            state: .online,
            open: { visitor, _ in self.openStream(visitor: visitor, local: nil) },
            report: { report in self.reporter.report(report) },
            admitRequest: { visitor in self.gate.admitRequest(visitor) },
            refused: { visitor, reason in self.gate.refuse(visitor, reason) }
        )
    }
}
