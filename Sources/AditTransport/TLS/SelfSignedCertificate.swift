// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// A certificate that a server makes for itself: devices pin its key, so no authority is needed.
package struct SelfSignedCertificate: Sendable {
    /// The certificate in PEM.
    package let certificatePEM: String
    /// The P-256 private key in PEM.
    package let keyPEM: String

    /// Makes a certificate with a new P-256 key.
    ///
    /// - Parameters:
    ///   - name: the common name.
    ///   - dnsNames: alternative names; may be empty.
    ///   - notBefore: Unix seconds.
    ///   - lifetimeInDays: how long it is valid.
    /// - Throws: what swift-certificates throws when a name cannot be encoded.
    package static func make(
        name: String,
        dnsNames: [String] = [],
        notBefore: Int64,
        lifetimeInDays: Int = 3650
    ) throws -> SelfSignedCertificate {
        try make(key: P256.Signing.PrivateKey(), name, dnsNames, notBefore, lifetimeInDays)
    }

    /// Makes a certificate for a P-256 key that exists, in PEM.
    package static func make(
        keyPEM: String,
        name: String,
        dnsNames: [String] = [],
        notBefore: Int64,
        lifetimeInDays: Int = 3650
    ) throws -> SelfSignedCertificate {
        try make(key: P256.Signing.PrivateKey(pemRepresentation: keyPEM), name, dnsNames, notBefore, lifetimeInDays)
    }

    private static func make(
        key: P256.Signing.PrivateKey,
        _ name: String,
        _ dnsNames: [String],
        _ notBefore: Int64,
        _ days: Int
    ) throws -> SelfSignedCertificate {
        let subject = try DistinguishedName { CommonName(name) }
        let start = Date(timeIntervalSince1970: Double(notBefore))
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: start,
            notValidAfter: start.addingTimeInterval(Double(days) * 86_400),
            issuer: subject,
            subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
                if !dnsNames.isEmpty { SubjectAlternativeNames(dnsNames.map { .dnsName($0) }) }
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
        return SelfSignedCertificate(
            certificatePEM: try certificate.serializeAsPEM().pemString,
            keyPEM: key.pemRepresentation
        )
    }
}
