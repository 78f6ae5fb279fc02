// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import NIOCore
import NIOSSL
import SwiftASN1
import X509

/// Why a certificate chain and its key cannot serve visitors.
package enum VisitorCertificateFault: Error, Sendable, Hashable {
    /// The text has no certificate in PEM.
    case noCertificate
    /// The first certificate cannot be understood.
    case unreadable(String)
    /// The first certificate is for no host: it has no DNS name and no address.
    case noName
    /// The text has no private key in PEM.
    case noKey
    /// The private key is encrypted.
    case keyEncrypted
    /// The key belongs to another certificate than the first one.
    case keyMismatch
}

/// A certificate chain with its key, ready to end visitors' TLS connections.
package struct VisitorCertificate: Sendable {
    /// The hosts that it is for, in lower case without a trailing dot, some possibly with a leading `*.`.
    package let names: [String]
    /// The addresses that it is for.
    package let addresses: [IPAddress]
    /// From when it is valid, in Unix seconds.
    package let notBefore: Int64
    /// Until when it is valid, in Unix seconds.
    package let notAfter: Int64
    private let context: NIOSSLContext

    /// What TLS 1.2 may use: forward secrecy and authenticated encryption alone (RFC 7540 appendix A forbids the rest).
    private static let ciphers: [NIOTLSCipher] = [
        .TLS_AES_128_GCM_SHA256, .TLS_AES_256_GCM_SHA384, .TLS_CHACHA20_POLY1305_SHA256,
        .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]

    /// Takes a chain, the server's own certificate first, and its key, both in PEM.
    ///
    /// - Parameter protocols: what can be spoken inside, the preferred one first (RFC 7301).
    package init(chainPEM: [UInt8], keyPEM: [UInt8], protocols: [String]) throws(VisitorCertificateFault) {
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(chainPEM), let leaf = chain.first else {
            throw .noCertificate
        }
        notBefore = Int64(leaf.notValidBefore)
        notAfter = Int64(leaf.notValidAfter)
        (names, addresses) = try Self.subjects(leaf)
        guard !names.isEmpty || !addresses.isEmpty else { throw .noName }
        let text = String(decoding: keyPEM, as: UTF8.self)
        guard !text.contains("ENCRYPTED") else { throw .keyEncrypted }
        guard let key = try? NIOSSLPrivateKey(bytes: keyPEM, format: .pem) else { throw .noKey }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuiteValues = Self.ciphers
        configuration.applicationProtocols = protocols
        // With everything else read, this can only fail because the two do not belong together.
        guard let context = try? NIOSSLContext(configuration: configuration) else { throw .keyMismatch }
        self.context = context
    }

    /// The handlers of one connection, from the socket on, with what makes closing orderly.
    package func makeHandlers() -> [any ChannelHandler] {
        [OrderlyCloseHandler(), NIOSSLServerHandler(context: context), TLSCloseHandler()]
    }

    /// The alternative names; a common name counts nowhere any more (RFC 9525 section 2).
    private static func subjects(
        _ leaf: NIOSSLCertificate
    ) throws(VisitorCertificateFault) -> ([String], [IPAddress]) {
        do {
            let certificate = try Certificate(derEncoded: leaf.toDERBytes())
            var names: [String] = []
            var addresses: [IPAddress] = []
            for name in try certificate.extensions.subjectAlternativeNames ?? SubjectAlternativeNames([]) {
                switch name {
                case .dnsName(let text):
                    let lower = text.lowercased()
                    names.append(lower.hasSuffix(".") ? String(lower.dropLast()) : lower)
                case .ipAddress(let bytes): addresses += address(Array(bytes.bytes)).map { [$0] } ?? []
                default: break
                }
            }
            return (names, addresses)
        } catch {
            throw .unreadable(String(describing: error))
        }
    }

    private static func address(_ bytes: [UInt8]) -> IPAddress? {
        switch bytes.count {
        case 4: .v4(UInt32(bytes.span.bytes.bigEndianUInt32(at: 0)))
        case 16: .v6(high: bytes.span.bytes.bigEndianUInt64(at: 0), low: bytes.span.bytes.bigEndianUInt64(at: 8))
        default: nil
        }
    }
}
