// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto
import NIOConcurrencyHelpers
package import NIOSSL

/// The server's certificate and key, replaceable while the server runs.
package final class ServerTLS: Sendable {
    private struct State {
        var context: NIOSSLContext
        var fingerprint: KeyFingerprint
    }

    /// What else is spoken with this certificate: TURN and STUN (RFC 7443 section 3).
    package static let protocols = ["stun.turn", "stun.nat-discovery"]

    private let state: NIOLockedValueBox<State>

    /// Takes a certificate chain and its key.
    ///
    /// - Parameters:
    ///   - certificatePEM: the certificate and those that lead to its authority, in PEM.
    ///   - keyPEM: the private key in PEM.
    ///   - clientAuthorities: a PEM file; when given, clients have to show a certificate of one of its authorities.
    /// - Throws: what NIOSSL throws for PEM that cannot be read or a key that does not fit.
    package init(certificatePEM: String, keyPEM: String, clientAuthorities: String? = nil) throws {
        state = NIOLockedValueBox(try Self.load(certificatePEM, keyPEM, clientAuthorities))
    }

    /// Takes a self-signed certificate.
    package convenience init(_ certificate: SelfSignedCertificate, clientAuthorities: String? = nil) throws {
        try self.init(
            certificatePEM: certificate.certificatePEM,
            keyPEM: certificate.keyPEM,
            clientAuthorities: clientAuthorities
        )
    }

    /// Replaces the certificate; connections that are open keep the old one. Throws as `init` does, changing nothing.
    package func replace(certificatePEM: String, keyPEM: String, clientAuthorities: String? = nil) throws {
        let loaded = try Self.load(certificatePEM, keyPEM, clientAuthorities)
        state.withLockedValue { $0 = loaded }
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo.
    package var fingerprint: KeyFingerprint { state.withLockedValue { $0.fingerprint } }

    /// The handler of one connection, with the fingerprint of the key that it shows.
    package func makeHandler() -> (handler: NIOSSLServerHandler, fingerprint: KeyFingerprint) {
        let current = state.withLockedValue { $0 }
        return (NIOSSLServerHandler(context: current.context), current.fingerprint)
    }

    private static func load(_ certificatePEM: String, _ keyPEM: String, _ authorities: String?) throws -> State {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8))
        guard let leaf = chain.first else { throw NIOSSLError.failedToLoadCertificate }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(keyPEM.utf8), format: .pem))
        )
        // frp clients bring 1.2 as well; an Adit peer on less than 1.3 is not treated as one.
        configuration.minimumTLSVersion = .tlsv12
        // Peers of a session ask for none; STUN and TURN do, and want to hear that it was understood (RFC 7443).
        configuration.applicationProtocols = Self.protocols
        if let authorities {
            configuration.trustRoots = .file(authorities)
            configuration.certificateVerification = .noHostnameVerification
        }
        return State(
            context: try NIOSSLContext(configuration: configuration),
            fingerprint: try leaf.keyFingerprint()
        )
    }
}

extension NIOSSLCertificate {
    /// SHA-256 of the SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7).
    package func keyFingerprint() throws -> KeyFingerprint {
        KeyFingerprint(of: try extractPublicKey().toSPKIBytes())
    }
}
