// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig
package import AditCore
package import AditCrypto
package import AditTransport

/// The key by which devices know the server, and the certificate around it.
///
/// The key is made once and never replaced: its fingerprint is in every invite.
package struct ServerIdentity: Sendable {
    /// The certificate and key, ready for TLS.
    package let tls: ServerTLS
    /// What devices pin.
    package var fingerprint: KeyFingerprint { tls.fingerprint }

    /// Takes the identity of a state folder, making it where there is none.
    ///
    /// Throws `AditError` 903 when the files cannot be read, written or understood.
    package static func loadOrMake(in state: ServerState, at now: UnixTime) throws(AditError) -> ServerIdentity {
        let key = try PrivateFile.read(state.keyFile)
        let certificate = try PrivateFile.read(state.certificateFile)
        do {
            if let key, let certificate {
                return ServerIdentity(
                    tls: try ServerTLS(
                        certificatePEM: String(decoding: certificate, as: UTF8.self),
                        keyPEM: String(decoding: key, as: UTF8.self)
                    )
                )
            }
            let made: SelfSignedCertificate
            if let key {
                made = try SelfSignedCertificate.make(
                    keyPEM: String(decoding: key, as: UTF8.self),
                    name: "Adit server",
                    notBefore: now.seconds
                )
            } else {
                made = try SelfSignedCertificate.make(name: "Adit server", notBefore: now.seconds)
                try PrivateFile.replace(state.keyFile, with: Array(made.keyPEM.utf8))
            }
            try PrivateFile.replace(state.certificateFile, with: Array(made.certificatePEM.utf8))
            return ServerIdentity(tls: try ServerTLS(made))
        } catch let error as AditError {
            throw error
        } catch {
            throw AditError(
                .state,
                Text("the server's key or certificate cannot be used", zh: "无法使用服务器的密钥或证书"),
                why: [Text(verbatim: state.keyFile), Text(verbatim: String(describing: error))],
                fix: Text(
                    "restore the two files from a backup; without them every device has to join again",
                    zh: "请从备份恢复这两个文件；否则所有设备都必须重新加入"
                )
            )
        }
    }

    /// An identity that is forgotten with the process, for a server that replaces frps.
    package static func temporary(at now: UnixTime, files: FRPTLSFiles = FRPTLSFiles()) throws -> ServerIdentity {
        let made = try SelfSignedCertificate.make(name: "frps", notBefore: now.seconds)
        let authorities = files.trustedCaFile.isEmpty ? nil : files.trustedCaFile
        return ServerIdentity(tls: try ServerTLS(made, clientAuthorities: authorities))
    }

    /// The certificate and key of a configuration, with the authorities of clients if it names any.
    ///
    /// Throws `AditError` 903 when one of the files cannot be read or understood.
    package static func load(_ files: FRPTLSFiles) throws(AditError) -> ServerIdentity {
        do {
            guard let certificate = try PrivateFile.read(files.certFile), let key = try PrivateFile.read(files.keyFile)
            else { throw ServerIdentityFault.missing }
            return ServerIdentity(
                tls: try ServerTLS(
                    certificatePEM: String(decoding: certificate, as: UTF8.self),
                    keyPEM: String(decoding: key, as: UTF8.self),
                    clientAuthorities: files.trustedCaFile.isEmpty ? nil : files.trustedCaFile
                )
            )
        } catch let error as AditError {
            throw error
        } catch {
            throw AditError(
                .state,
                Text("the certificate or its key cannot be used", zh: "无法使用证书或其密钥"),
                why: [
                    Text(verbatim: [files.certFile, files.keyFile, files.trustedCaFile].joined(separator: " ")),
                    Text(verbatim: String(describing: error)),
                ],
                fix: Text("check  transport.tls.certFile  and  keyFile", zh: "请检查 transport.tls.certFile 和 keyFile")
            )
        }
    }

    /// Makes an identity from what TLS uses.
    package init(tls: ServerTLS) {
        self.tls = tls
    }
}

private enum ServerIdentityFault: Error, CustomStringConvertible {
    case missing

    var description: String { "no such file" }
}
