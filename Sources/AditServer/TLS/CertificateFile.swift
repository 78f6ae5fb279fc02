// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport

/// A certificate as it was last read from its two files.
struct CertificateFile: Sendable {
    /// From how many seconds before its end on a certificate is warned of: two weeks.
    private static let warningTime: Int64 = 14 * 86_400

    let files: TLSCertificateFiles
    let certificate: VisitorCertificate
    /// Whether others than the owner and its group may read the key, or others than the owner may write it.
    let isKeyLoose: Bool
    /// What was in the files when they were last tried; nil for one that could not be read.
    private var tried: [SHA256Digest?]
    /// Why the files as they are now cannot be used; nil when they are in use.
    private(set) var problem: AditError?

    /// Reads the files; throws `AditError` 906 with the file and the reason when they cannot be used.
    init(_ files: TLSCertificateFiles, protocols: [String]) throws(AditError) {
        self.files = files
        let chain = try Self.read(files.certificate)
        let key = try Self.read(files.key)
        tried = [SHA256Digest(of: chain), SHA256Digest(of: key)]
        isKeyLoose = FilePermissions.areLoose(files.key)
        do throws(VisitorCertificateFault) {
            certificate = try VisitorCertificate(chainPEM: chain, keyPEM: key, protocols: protocols)
        } catch {
            throw Self.unusable(error, files)
        }
    }

    /// Whether the files are others than when they were last tried.
    var hasChanged: Bool { Self.contents(of: files) != tried }

    /// Reads the files again; throws why they cannot be used, and goes on with the old certificate then.
    mutating func readAgain(protocols: [String]) throws(AditError) {
        // Taken before reading: a change in between is found the next time.
        let now = Self.contents(of: files)
        do throws(AditError) {
            self = try CertificateFile(files, protocols: protocols)
        } catch {
            tried = now
            problem = error
            throw error
        }
    }

    /// What its owner should know, a sentence each.
    func remarks(at now: UnixTime) -> [Text] {
        var remarks: [Text] = []
        let name = certificate.names.first ?? certificate.addresses.first?.description ?? ""
        let left = certificate.notAfter - now.seconds
        let age = Refusal.ago(.seconds(abs(left)))
        if left <= 0 {
            remarks.append(
                Text("the certificate for \(name) expired \(age.english) ago", zh: "\(name) 的证书已过期 \(age.chinese)")
            )
        } else if left < Self.warningTime {
            remarks.append(
                Text("the certificate for \(name) expires in \(age.english)", zh: "\(name) 的证书将在 \(age.chinese)后过期")
            )
        }
        if certificate.notBefore > now.seconds {
            remarks.append(Text("the certificate for \(name) is not valid yet", zh: "\(name) 的证书尚未生效"))
        }
        if isKeyLoose {
            remarks.append(
                Text(
                    "others can read or change \(files.key):  chmod 600 \(files.key)",
                    zh: "其他用户可读取或修改 \(files.key)：chmod 600 \(files.key)"
                )
            )
        }
        return remarks
    }

    private static func contents(of files: TLSCertificateFiles) -> [SHA256Digest?] {
        [files.certificate, files.key].map { path in
            (try? PrivateFile.read(path)).flatMap { $0 }.map { SHA256Digest(of: $0) }
        }
    }

    private static func read(_ path: String) throws(AditError) -> [UInt8] {
        let found: [UInt8]?
        do throws(AditError) {
            found = try PrivateFile.read(path)
        } catch {
            throw unusable(path, error.why.first ?? error.what)
        }
        guard let found else { throw unusable(path, Text("there is no such file", zh: "没有该文件")) }
        return found
    }

    private static func unusable(_ fault: VisitorCertificateFault, _ files: TLSCertificateFiles) -> AditError {
        switch fault {
        case .noCertificate:
            unusable(files.certificate, Text("it has no certificate in PEM", zh: "其中没有 PEM 格式的证书"))
        case .unreadable(let reason):
            unusable(files.certificate, Text("it cannot be understood: \(reason)", zh: "无法解析：\(reason)"))
        case .noName:
            unusable(
                files.certificate,
                Text("it names no host (subjectAltName)", zh: "它没有主机名（subjectAltName）")
            )
        case .noKey: unusable(files.key, Text("it has no private key in PEM", zh: "其中没有 PEM 格式的私钥"))
        case .keyEncrypted:
            unusable(files.key, Text("the key is encrypted with a passphrase", zh: "私钥用口令加密"))
        case .keyMismatch:
            unusable(
                files.key,
                Text(
                    "the key does not belong to the first certificate of \(files.certificate)",
                    zh: "私钥与 \(files.certificate) 中的第一个证书不匹配"
                )
            )
        }
    }

    private static func unusable(_ path: String, _ why: Text) -> AditError {
        AditError(
            .certificateUnusable,
            Text("\(path) cannot be used for https", zh: "\(path) 不能用于 https"),
            why: [why],
            fix: Text(
                "give the chain with the server's own certificate first, and its key, both in PEM",
                zh: "请提供以服务器证书开头的完整证书链及其密钥，均为 PEM 格式"
            )
        )
    }
}
