// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOSSL

/// TLS for tests that are about what runs inside it.
enum TestTLS {
    static func serverContext() throws -> NIOSSLContext {
        let certificate = try SelfSignedCertificate.make(name: "test", notBefore: 1_700_000_000)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: NIOSSLCertificate.fromPEMBytes(Array(certificate.certificatePEM.utf8))
                    .map { .certificate($0) },
                privateKey: .privateKey(NIOSSLPrivateKey(bytes: Array(certificate.keyPEM.utf8), format: .pem))
            )
        )
    }

    static func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        return try NIOSSLContext(configuration: configuration)
    }
}
