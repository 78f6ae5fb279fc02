// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal

/// What a driver knows of the servers to which its machine opens TLS.
package struct SocketTLS: Sendable {
    /// How such a server proves who it is. `publicAuthorities` with an empty name stands for the name that the machine
    /// gives.
    package var trust: ServerTrust
    /// What is offered by ALPN (RFC 7301), such as `stun.turn` (RFC 7443).
    package var applicationProtocols: [String]
    /// Whether TLS 1.3 is asked for, as between Adit peers.
    package var isAdit: Bool

    /// Makes it from its parts.
    package init(trust: ServerTrust, applicationProtocols: [String] = [], isAdit: Bool = true) {
        self.trust = trust
        self.applicationProtocols = applicationProtocols
        self.isAdit = isAdit
    }

    /// What opens TLS to the server of that name.
    func client(for name: String) throws -> ClientTLS {
        var trust = trust
        if case .publicAuthorities("") = trust { trust = .publicAuthorities(name: name) }
        return try ClientTLS(
            trust: trust,
            host: name,
            clientCertificate: nil,
            isAdit: isAdit,
            applicationProtocols: applicationProtocols
        )
    }
}
