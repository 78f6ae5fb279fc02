// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Where a server relays by TURN and with which credentials, the object named `turn` in what it tells a device at login and
/// again before they expire (docs/wire.md).
///
/// Everything is on the host that the device reached the server by.
package struct TURNOffer: Sendable, Hashable {
    /// The port of UDP and TCP; 0 for none.
    package var port: UInt16
    /// The port of TLS over TCP; 0 for none.
    package var tlsPort: UInt16
    /// Whether the session port takes TLS connections for it, with the protocol `stun.turn` (RFC 7443 section 3).
    package var isOnSessionPort: Bool
    /// The name that the password belongs to.
    package var username: String
    /// The password of the long-term credential mechanism (RFC 8489 section 9.2).
    package var password: String
    /// The realm that both are for.
    package var realm: String
    /// A nonce to begin with, which saves a round trip; empty for none.
    package var nonce: String
    /// When the credentials end, in seconds since 1970.
    package var expiresAt: Int64

    /// Makes an offer from its fields.
    package init(
        port: UInt16 = 0,
        tlsPort: UInt16 = 0,
        isOnSessionPort: Bool = false,
        username: String = "",
        password: String = "",
        realm: String = "",
        nonce: String = "",
        expiresAt: Int64 = 0
    ) {
        self.port = port
        self.tlsPort = tlsPort
        self.isOnSessionPort = isOnSessionPort
        self.username = username
        self.password = password
        self.realm = realm
        self.nonce = nonce
        self.expiresAt = expiresAt
    }

    /// The offer as people and scripts may see it: without what gives access.
    package var withoutSecrets: TURNOffer {
        var offer = self
        offer.password = ""
        offer.nonce = ""
        return offer
    }
}

extension TURNOffer: JSONMessage {
    private enum Key: String, CodingKey {
        case port, tlsPort, onSessionPort, username, password, realm, nonce, expiresAt
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            port: try fields.number(.port),
            tlsPort: try fields.number(.tlsPort),
            isOnSessionPort: try fields.flag(.onSessionPort),
            username: try fields.text(.username),
            password: try fields.text(.password),
            realm: try fields.text(.realm),
            nonce: try fields.text(.nonce),
            expiresAt: try fields.number(.expiresAt)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("port", port)
        object.field("tlsPort", tlsPort)
        object.field("onSessionPort", isOnSessionPort)
        object.field("username", username)
        object.field("password", password)
        object.field("realm", realm)
        object.field("nonce", nonce)
        object.field("expiresAt", expiresAt)
    }
}

extension TURNOffer: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(json: decoder)
    }

    /// Writes what is worth keeping; a nonce is not, since a server soon wants another one.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        if port != 0 { try fields.encode(port, forKey: .port) }
        if tlsPort != 0 { try fields.encode(tlsPort, forKey: .tlsPort) }
        if isOnSessionPort { try fields.encode(true, forKey: .onSessionPort) }
        try fields.encode(username, forKey: .username)
        if !password.isEmpty { try fields.encode(password, forKey: .password) }
        try fields.encode(realm, forKey: .realm)
        try fields.encode(expiresAt, forKey: .expiresAt)
    }
}
