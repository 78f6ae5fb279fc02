// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire

/// A login that waits for a decision, with everything that decides it.
///
/// When `device` is there, the device's signature has been verified already: the key is really its own, and the proof was
/// made for this server and this connection.
package struct LoginRequest: Sendable, Equatable {
    /// What an Adit device proved or offers.
    package struct Device: Sendable, Equatable {
        /// The key whose possession is proven.
        package var key: DevicePublicKey
        /// The name that the device gives itself.
        package var name: String
        /// The secret of an invite; empty when none is offered.
        package var invite: [UInt8]
        /// HMAC-SHA256 by the shared token; empty when none is offered.
        package var tokenProof: [UInt8]
        /// What both proofs have to cover on this connection.
        package var proof: LoginProof
        /// Whether it comes as a guest, with frp's files and without being enrolled.
        package var isGuest: Bool

        /// Makes it from its parts.
        package init(
            key: DevicePublicKey,
            name: String,
            invite: [UInt8],
            tokenProof: [UInt8],
            proof: LoginProof,
            isGuest: Bool = false
        ) {
            self.key = key
            self.name = name
            self.invite = invite
            self.tokenProof = tokenProof
            self.proof = proof
            self.isGuest = isGuest
        }
    }

    /// The Login message as it came.
    package var login: FRPLogin
    /// The framing of the connection.
    package var wireVersion: FRPWireVersion
    /// Whether the connection is inside TLS.
    package var isTLS: Bool
    /// The other end of the connection, when it is known.
    package var remoteAddress: IPEndpoint?
    /// The proof of an Adit device; nil for an frp client.
    package var device: Device?

    /// Makes a request from its parts.
    package init(
        login: FRPLogin,
        wireVersion: FRPWireVersion,
        isTLS: Bool,
        remoteAddress: IPEndpoint?,
        device: Device?
    ) {
        self.login = login
        self.wireVersion = wireVersion
        self.isTLS = isTLS
        self.remoteAddress = remoteAddress
        self.device = device
    }

    /// Whether it brings a secret that could be guessed; the signature of a device key could not.
    package var mayBeGuess: Bool {
        guard let device else { return true }
        return !device.invite.isEmpty || !device.tokenProof.isEmpty
    }

    /// Whether an frp client's privilege_key was made with this token; an empty token never matches.
    package func privilegeKeyMatches(token: String) -> Bool {
        guard !token.isEmpty else { return false }
        return FRPTokenKey(token: token).accepts(privilegeKey: login.privilegeKey, timestamp: login.timestamp)
    }

    /// Whether an Adit device's proof was made with this token; an empty token never matches.
    package func tokenProofMatches(token: String) -> Bool {
        guard let device else { return false }
        return device.proof.accepts(tokenProof: device.tokenProof, token: token)
    }
}
