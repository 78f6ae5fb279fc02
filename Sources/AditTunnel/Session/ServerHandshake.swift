// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditWire

/// The part of a server's control machine that comes before the decision: hello, negotiation, and the device's proof.
struct ServerHandshake: Sendable {
    struct Refusal: Error, Equatable {
        var text: String
        var error: AditError

        init(_ text: String, _ error: AditError? = nil) {
            self.text = text
            self.error = error ?? AditError(.protocolBroken, Text(verbatim: text))
        }
    }

    /// Without these three the extension has no meaning, so a client that names fewer is served as a plain frp client.
    static let required: [AditFeature] = [.serverStreams, .deviceKey, .tlsControl]

    private let configuration: ServerControl.Configuration
    private let connection: ServerControl.Connection
    private var algorithm: FRPControlCipher?
    private var transcript: FRPControlTranscript?
    private var helloKey: [UInt8] = []
    private(set) var isAdit = false
    private(set) var features: Set<AditFeature> = []
    private(set) var poolCount = 0

    init(configuration: ServerControl.Configuration, connection: ServerControl.Connection) {
        self.configuration = configuration
        self.connection = connection
    }

    /// Chooses what this connection speaks.
    mutating func answer(_ hello: FRPClientHello, payload: [UInt8]) -> Result<FRPFrame, Refusal> {
        guard hello.codecs.isEmpty || hello.codecs.contains("json") else { return .failure(Refusal("no common codec")) }
        guard let chosen = FRPControlCipher.select(from: hello.algorithms) else {
            return .failure(Refusal("no common encryption algorithm"))
        }
        guard hello.clientRandom.count == 32 else { return .failure(Refusal("clientRandom is not 32 bytes")) }
        algorithm = chosen
        var reply = FRPServerHello(algorithm: chosen.rawValue, serverRandom: connection.serverRandom)
        if let adit = hello.adit, adit.version >= 1, connection.isTLS13, connection.canOpenStreams,
            connection.fingerprint != nil, Self.required.allSatisfy(adit.has)
        {
            isAdit = true
            helloKey = adit.deviceKey
            features = Set(AditFeature.allCases.filter(adit.has))
            reply.adit = AditHello(version: 1, features: AditFeature.allCases.filter(features.contains))
        }
        let frame = FRPFrame.serverHello(reply)
        if case .serverHello(_, let bytes) = frame {
            transcript = FRPControlTranscript(clientHello: payload, serverHello: bytes)
        }
        return .success(frame)
    }

    /// Whether a login of wire v1 only carries the hello that v1 has no frame for.
    ///
    /// After the first one the proof is due, so a second one is a login without proof.
    func isHello(_ login: FRPLogin) -> Bool {
        connection.wireVersion == .v1 && !isAdit && login.adit?.hello.isEmpty == false
    }

    /// Answers the hello inside a login of wire v1.
    ///
    /// Who sends one is no frp client, so unlike over v2 there is nothing to fall back to when the hello cannot be taken.
    mutating func answer(_ login: FRPLogin) -> Result<AditHelloAnswer, Refusal> {
        guard let payload = login.adit?.hello,
            case .clientHello(let hello, _)? = try? FRPFrame.clientHello(payload: payload)
        else {
            return .failure(Refusal("the hello inside the login cannot be read"))
        }
        switch answer(hello, payload: payload) {
        case .failure(let refusal): return .failure(refusal)
        case .success(.serverHello(_, let bytes)) where isAdit: return .success(AditHelloAnswer(hello: bytes))
        case .success: return .failure(Refusal("not a session of Adit", Self.notCapable))
        }
    }

    private static let notCapable = AditError(
        .versionsApart,
        Text("This connection cannot carry an Adit session", zh: "此连接无法承载 Adit 会话"),
        why: [Text("it needs TLS 1.3, streams, and a device key", zh: "需要 TLS 1.3、多路复用流和设备密钥")]
    )

    /// Checks what the login proves by itself, and turns it into a question for the policy.
    mutating func request(_ login: FRPLogin) -> Result<LoginRequest, Refusal> {
        poolCount = login.poolCount
        guard login.runID.isEmpty || Self.isRunID(login.runID) else {
            return .failure(Refusal("invalid run id", AditError(.protocolBroken, "the run id is not one")))
        }
        var request = LoginRequest(
            login: login,
            wireVersion: connection.wireVersion,
            isTLS: connection.isTLS,
            remoteAddress: connection.remoteAddress,
            device: nil
        )
        guard isAdit else {
            guard configuration.servesFRP else {
                return .failure(
                    Refusal(
                        "frp clients are not served here",
                        AditError(
                            .versionsApart,
                            Text("This server takes only Adit devices", zh: "此服务器只接受 Adit 设备"),
                            fix: Text("join with: adit join INVITE", zh: "请用 adit join 邀请码 加入")
                        )
                    )
                )
            }
            return .success(request)
        }
        guard let offer = login.adit, let fingerprint = connection.fingerprint, let transcript,
            offer.deviceKey == helloKey, let key = try? DevicePublicKey(bytes: offer.deviceKey),
            case let proof = LoginProof(transcript: transcript, serverFingerprint: fingerprint),
            proof.accepts(signature: offer.signature, by: key)
        else {
            let error = AditError(
                .serverKeyChanged,
                Text("The device's proof does not fit this connection", zh: "设备的证明与此连接不符"),
                why: [
                    Text(
                        "the signature was not made for this server's key and these hellos",
                        zh: "签名不是针对此服务器的密钥和本次握手生成的"
                    )
                ],
                fix: Text("check that nothing stands between device and server", zh: "请检查设备与服务器之间是否有中间人")
            )
            return .failure(Refusal("device proof refused", error))
        }
        request.device = LoginRequest.Device(
            key: key,
            name: offer.deviceName,
            invite: offer.invite,
            tokenProof: offer.tokenProof,
            proof: proof,
            isGuest: offer.isGuest
        )
        return .success(request)
    }

    /// How the control stream is encrypted after the answer.
    func security(token: String) -> ControlSecurity {
        if isAdit { return .none }
        guard let algorithm, let transcript else { return .cfb(token: token) }
        return .aead(algorithm, token: token, transcript: transcript)
    }

    static func isRunID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            }
    }
}
