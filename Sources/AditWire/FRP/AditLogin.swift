// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The object named `adit` in Login: the device's own proof (docs/wire.md, Proof of the device key).
package struct AditLogin: Sendable, Equatable {
    /// The device's Ed25519 public key, 32 bytes.
    package var deviceKey: [UInt8]
    package var deviceName: String
    /// Ed25519 signature, 64 bytes.
    package var signature: [UInt8]
    /// The secret of an invite, once.
    package var invite: [UInt8]
    /// HMAC-SHA256 by the shared token, 32 bytes.
    package var tokenProof: [UInt8]
    /// Wire v1 only: the payload of the ClientHello that v1 has no frame for; then there is no proof yet.
    package var hello: [UInt8]
    /// Whether it comes as a guest of frp's files: known by its key for this session, and not enrolled as a device.
    package var isGuest: Bool

    /// Makes the object from its fields.
    package init(
        deviceKey: [UInt8] = [],
        deviceName: String = "",
        signature: [UInt8] = [],
        invite: [UInt8] = [],
        tokenProof: [UInt8] = [],
        hello: [UInt8] = [],
        isGuest: Bool = false
    ) {
        self.deviceKey = deviceKey
        self.deviceName = deviceName
        self.signature = signature
        self.invite = invite
        self.tokenProof = tokenProof
        self.hello = hello
        self.isGuest = isGuest
    }
}

/// The object named `adit` in LoginResp.
package struct AditLoginResponse: Sendable, Equatable {
    /// The name under which the server knows the device.
    package var deviceName: String
    package var serverName: String
    /// The domain below which names are served.
    package var domain: String
    /// The port on which names are served; 0 when they are not.
    package var httpPort: UInt16
    /// Where it answers STUN; nil when it does not.
    package var stun: STUNOffer?
    /// Where it relays by TURN, with credentials for this device; nil when it does not.
    package var turn: TURNOffer?
    package var error: AditErrorMessage?

    /// Makes the object from its fields.
    package init(
        deviceName: String = "",
        serverName: String = "",
        domain: String = "",
        httpPort: UInt16 = 0,
        stun: STUNOffer? = nil,
        turn: TURNOffer? = nil,
        error: AditErrorMessage? = nil
    ) {
        self.deviceName = deviceName
        self.serverName = serverName
        self.domain = domain
        self.httpPort = httpPort
        self.stun = stun
        self.turn = turn
        self.error = error
    }
}

extension AditLogin: JSONMessage {
    private enum Key: String, CodingKey { case deviceKey, deviceName, signature, invite, tokenProof, hello, guest }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            deviceKey: try fields.bytes(.deviceKey),
            deviceName: try fields.text(.deviceName),
            signature: try fields.bytes(.signature),
            invite: try fields.bytes(.invite),
            tokenProof: try fields.bytes(.tokenProof),
            hello: try fields.bytes(.hello),
            isGuest: try fields.flag(.guest)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("deviceKey", bytes: deviceKey)
        object.field("deviceName", deviceName)
        object.field("signature", bytes: signature)
        object.field("invite", bytes: invite)
        object.field("tokenProof", bytes: tokenProof)
        object.field("hello", bytes: hello)
        object.field("guest", isGuest)
    }
}

extension AditLoginResponse: JSONMessage {
    private enum Key: String, CodingKey { case deviceName, serverName, domain, httpPort, stun, turn, error }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            deviceName: try fields.text(.deviceName),
            serverName: try fields.text(.serverName),
            domain: try fields.text(.domain),
            httpPort: try fields.number(.httpPort),
            stun: try fields.object(.stun),
            turn: try fields.object(.turn),
            error: try fields.object(.error)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("deviceName", deviceName)
        object.field("serverName", serverName)
        object.field("domain", domain)
        object.field("httpPort", httpPort)
        object.field("stun", stun)
        object.field("turn", turn)
        object.field("error", error)
    }
}
