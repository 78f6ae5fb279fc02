// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
import NIOConcurrencyHelpers
import NIOCore
package import NIOSSL

/// What a device needs to open TLS to its server, made once and used for every connection.
package struct ClientTLS: Sendable {
    private let context: NIOSSLContext
    private let trust: ServerTrust
    private let serverName: String?

    /// Prepares TLS for one server.
    ///
    /// - Parameters:
    ///   - trust: how the server proves who it is; not `.plain`.
    ///   - host: the server's host as it is dialled, sent as its name when it is one and `trust` names no other.
    ///   - clientCertificate: what this side shows, if anything.
    ///   - isAdit: Adit peers speak TLS 1.3 or nothing.
    ///   - applicationProtocols: what is offered by ALPN (RFC 7301), the best first.
    /// - Throws: what NIOSSL throws for files that cannot be read.
    package init(
        trust: ServerTrust,
        host: String,
        clientCertificate: TLSCertificateFiles?,
        isAdit: Bool,
        applicationProtocols: [String] = []
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = isAdit ? .tlsv13 : .tlsv12
        configuration.applicationProtocols = applicationProtocols
        var name = host
        switch trust {
        case .pinned, .pinnedPrefix, .plain:
            configuration.certificateVerification = .noHostnameVerification
        case .publicAuthorities(let wanted):
            name = wanted
        case .authorities(let file, let wanted):
            name = wanted
            configuration.trustRoots = .file(file)
        case .unverified(let wanted):
            name = wanted
            configuration.certificateVerification = .none
        }
        if let clientCertificate {
            let chain = try NIOSSLCertificate.fromPEMFile(clientCertificate.certificate)
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: clientCertificate.key, format: .pem))
        }
        context = try NIOSSLContext(configuration: configuration)
        self.trust = trust
        // An address is not sent as a name (RFC 6066 section 3); it is checked against the certificate all the same.
        serverName = name.isEmpty || IPAddress(name) != nil ? nil : name
    }

    /// The handler of one connection and the check that goes with it.
    package func makeHandler() throws -> (handler: NIOSSLClientHandler, check: PinCheck) {
        let check = PinCheck(trust)
        guard check.isPinned else {
            return (try NIOSSLClientHandler(context: context, serverHostname: serverName), check)
        }
        let handler = try NIOSSLClientHandler(
            context: context,
            serverHostname: serverName,
            customVerificationCallback: { certificates, promise in
                promise.succeed(check.accepts(certificates) ? .certificateVerified : .failed)
            }
        )
        return (handler, check)
    }
}

/// Compares a server's key with the pinned one and remembers what it saw, for the message to the person.
package final class PinCheck: Sendable {
    private let trust: ServerTrust
    private let found = NIOLockedValueBox<KeyFingerprint?>(nil)

    init(_ trust: ServerTrust) {
        self.trust = trust
    }

    var isPinned: Bool {
        switch trust {
        case .pinned, .pinnedPrefix: true
        default: false
        }
    }

    func accepts(_ certificates: [NIOSSLCertificate]) -> Bool {
        guard let fingerprint = try? certificates.first?.keyFingerprint() else { return false }
        found.withLockedValue { $0 = fingerprint }
        return matches(fingerprint)
    }

    /// What a person is told when the server is not the right one; nil when the handshake failed for another reason.
    package func failure(_ error: any Error) -> AditError? {
        if isPinned { return mismatch }
        guard "\(error)".contains("CERTIFICATE_VERIFY_FAILED") else { return nil }
        return AditError(
            .serverKeyChanged,
            Text("No authority vouches for the server's certificate", zh: "没有证书机构为服务器的证书担保"),
            why: [
                Text(
                    "it is self-signed, expired, or for another name",
                    zh: "该证书是自签名的、已过期，或属于其他名称"
                )
            ],
            fix: Text("join with an invite, which pins the key: adit join INVITE", zh: "请用会固定密钥的邀请码加入：adit join 邀请码")
        )
    }

    private var mismatch: AditError? {
        guard isPinned, let seen = found.withLockedValue({ $0 }), !matches(seen) else { return nil }
        let expected: Text =
            switch trust {
            case .pinned(let pinned): Text("this device remembers \(pinned)", zh: "本设备记录的指纹是 \(pinned)")
            case .pinnedPrefix(let prefix):
                Text(
                    "the invite names a key that begins with \(Hexadecimal.encode(prefix))",
                    zh: "邀请码中的密钥以 \(Hexadecimal.encode(prefix)) 开头"
                )
            default: ""
            }
        return AditError(
            .serverKeyChanged,
            Text("The server's key is not the one that is expected", zh: "服务器的密钥与预期不符"),
            why: [Text("the server shows \(seen)", zh: "服务器出示的是 \(seen)"), expected],
            fix: Text(
                "if the server was set up anew, get a new invite: adit server invite",
                zh: "如果服务器是重新安装的，请重新获取邀请码：adit server invite"
            )
        )
    }

    private func matches(_ fingerprint: KeyFingerprint) -> Bool {
        switch trust {
        case .pinned(let pinned): ConstantTime.equal(pinned.bytes, fingerprint.bytes)
        case .pinnedPrefix(let prefix): fingerprint.matches(prefix80: prefix)
        default: true
        }
    }
}
