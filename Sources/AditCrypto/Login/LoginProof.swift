// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// What a device signs to log in (docs/wire.md, Proof of the device key).
///
/// The transcript makes it fresh and the server's fingerprint ties it to this server, so that neither a replay nor a
/// relay in the middle is accepted.
package struct LoginProof: Sendable, Hashable {
    private let transcript: FRPControlTranscript
    private let serverFingerprint: KeyFingerprint

    /// Ties a proof to one connection and one server.
    package init(transcript: FRPControlTranscript, serverFingerprint: KeyFingerprint) {
        self.transcript = transcript
        self.serverFingerprint = serverFingerprint
    }

    /// The bytes that `Login.adit.signature` covers.
    package var signatureInput: [UInt8] {
        Array("adit device login v1".utf8) + [0] + transcript.hash + serverFingerprint.bytes
    }

    /// Signs the login, 64 bytes.
    package func signature(by key: DeviceKey) throws(CryptoError) -> [UInt8] {
        try key.sign(signatureInput)
    }

    /// Whether the holder of the key signed this login.
    package func accepts(signature: [UInt8], by key: DevicePublicKey) -> Bool {
        key.verify(signature: signature, of: signatureInput)
    }

    /// The proof that the device knows a shared token: HMAC-SHA256 (RFC 2104), 32 bytes.
    package func tokenProof(token: String) -> [UInt8] {
        let message = Array("adit token login v1".utf8) + [0] + transcript.hash + serverFingerprint.bytes
        return Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: Array(token.utf8))))
    }

    /// Whether the proof was made with the token; an empty token is never accepted.
    package func accepts(tokenProof: [UInt8], token: String) -> Bool {
        !token.isEmpty && ConstantTime.equal(tokenProof, self.tokenProof(token: token))
    }
}
