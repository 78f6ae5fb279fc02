// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import Foundation
import NIOSSL

/// A folder of certificates that vanishes with the test.
final class TestCertificates: Sendable {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "adit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Makes a certificate and writes it, in place of the earlier one of this file name.
    @discardableResult
    func write(
        _ file: String,
        names: [String],
        notBefore: Int64 = 1_700_000_000,
        days: Int = 3650
    ) throws -> (files: TLSCertificateFiles, made: SelfSignedCertificate) {
        let made = try SelfSignedCertificate.make(
            name: names.first ?? "none",
            dnsNames: names,
            notBefore: notBefore,
            lifetimeInDays: days
        )
        let files = files(file)
        try replace(files.certificate, made.certificatePEM)
        try replace(files.key, made.keyPEM)
        return (files, made)
    }

    func files(_ file: String) -> TLSCertificateFiles {
        TLSCertificateFiles(certificate: path(file + ".crt"), key: path(file + ".key"))
    }

    func path(_ name: String) -> String { folder.appending(path: name).path(percentEncoded: false) }

    func replace(_ path: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
}

extension SelfSignedCertificate {
    func certificates() throws -> [NIOSSLCertificate] {
        try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8))
    }

    /// A server's TLS with this certificate.
    func serverContext() throws -> NIOSSLContext {
        try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: certificates().map { .certificate($0) },
                privateKey: .privateKey(NIOSSLPrivateKey(bytes: Array(keyPEM.utf8), format: .pem))
            )
        )
    }
}
