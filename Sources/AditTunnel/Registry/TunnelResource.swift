// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The transport of a public port.
package enum PortKind: String, Hashable, Sendable, CaseIterable {
    case tcp
    case udp
}

/// One thing that only one tunnel can have.
package enum TunnelResource: Hashable, Sendable {
    /// A public port of the server.
    case port(PortKind, UInt16)
    /// A route of HTTP by host name.
    case route(HostRoute)
    /// A host or pattern of TLS by server name, whose connections are passed on untouched.
    case tls(HostName)
}

/// One tunnel as the registry holds it.
package struct TunnelClaim: Hashable, Sendable {
    /// Who holds it.
    package var owner: TunnelOwner
    /// The run id of the session that asked for it.
    package var session: String
    /// The proxy's name, unique among the proxies of one device, or among those of all frp clients.
    package var proxyName: String
    /// The ports and routes that go with it.
    package var resources: [TunnelResource]

    /// Makes a claim from its parts.
    package init(owner: TunnelOwner, session: String, proxyName: String, resources: [TunnelResource]) {
        self.owner = owner
        self.session = session
        self.proxyName = proxyName
        self.resources = resources
    }
}

/// The name under which the registry keeps one tunnel.
package struct TunnelID: Hashable, Sendable {
    /// A number that is not used again while the server runs.
    package let number: UInt64

    /// Makes an id from its number.
    package init(_ number: UInt64) {
        self.number = number
    }
}
