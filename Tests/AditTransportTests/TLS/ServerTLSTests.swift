// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import AditTransport
import NIOSSL
import Testing

@Suite("The server's certificate")
struct ServerTLSTests {
    @Test("A new certificate for the same key keeps the fingerprint, one for another key does not")
    func fingerprint() throws {
        let first = try SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000)
        let renewed = try SelfSignedCertificate.make(
            keyPEM: first.keyPEM,
            name: "adit",
            dnsNames: ["example.com"],
            notBefore: 1_800_000_000
        )
        let other = try SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000)
        let tls = try ServerTLS(first)
        let fingerprint = tls.fingerprint
        try tls.replace(certificatePEM: renewed.certificatePEM, keyPEM: renewed.keyPEM)
        #expect(tls.fingerprint == fingerprint)
        try tls.replace(certificatePEM: other.certificatePEM, keyPEM: other.keyPEM)
        #expect(tls.fingerprint != fingerprint)
    }

    @Test("A key that does not fit, and text that is no PEM, change nothing")
    func broken() throws {
        let first = try SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000)
        let other = try SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000)
        let tls = try ServerTLS(first)
        let fingerprint = tls.fingerprint
        #expect(throws: (any Error).self) {
            try tls.replace(certificatePEM: other.certificatePEM, keyPEM: first.keyPEM)
        }
        #expect(throws: (any Error).self) { try tls.replace(certificatePEM: "nonsense", keyPEM: other.keyPEM) }
        #expect(throws: (any Error).self) { try tls.replace(certificatePEM: other.certificatePEM, keyPEM: "") }
        #expect(tls.fingerprint == fingerprint)
    }

    @Test("The certificate is valid from the given day for ten years and names itself")
    func contents() throws {
        let made = try SelfSignedCertificate.make(name: "adit", dnsNames: ["a.example"], notBefore: 1_700_000_000)
        let certificate = try #require(try NIOSSLCertificate.fromPEMBytes(Array(made.certificatePEM.utf8)).first)
        #expect(certificate.notValidBefore == 1_700_000_000)
        #expect(certificate.notValidAfter == 1_700_000_000 + 3650 * 86_400)
    }
}
