// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto

/// How a device knows that it talks to the right server.
package enum ServerTrust: Sendable, Hashable {
    /// The server's key has this fingerprint.
    case pinned(KeyFingerprint)
    /// The fingerprint of the server's key begins with these 10 bytes, from an invite.
    case pinnedPrefix([UInt8])
    /// The system's certificate authorities vouch for this name.
    case publicAuthorities(name: String)
    /// The authorities in a PEM file vouch for this name (frp: transport.tls.trustedCaFile).
    case authorities(file: String, name: String)
    /// TLS without any check: what frp does by default. Refused for Adit's extension.
    case unverified(name: String)
    /// No TLS. Refused for Adit's extension.
    case plain

    /// Whether the connection is inside TLS.
    package var isTLS: Bool { self != .plain }

    /// Whether a stranger in the middle would be noticed.
    package var isVerified: Bool {
        switch self {
        case .pinned, .pinnedPrefix, .publicAuthorities, .authorities: true
        case .unverified, .plain: false
        }
    }
}

/// Where a certificate chain and its key are, both in PEM.
package struct TLSCertificateFiles: Sendable, Hashable {
    /// The file with the certificate and those that lead to its authority.
    package var certificate: String
    /// The file with the private key.
    package var key: String

    /// Makes it from both paths.
    package init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}
