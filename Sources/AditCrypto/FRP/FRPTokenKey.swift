// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// What frp makes of a shared token: the proof in Login and the key of the stream cipher.
package struct FRPTokenKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// The token's bytes; empty with OIDC.
    package let token: [UInt8]
    /// The 16 bytes that key AES-128-CFB: PBKDF2-HMAC-SHA1, salt `frp`, 64 iterations.
    package let cipherKey: [UInt8]

    /// Derives the keys of a token, or of a service's secret key.
    package init(token: String) {
        self.token = Array(token.utf8)
        cipherKey = PBKDF2SHA1.derive(password: self.token, salt: Array("frp".utf8), iterations: 64, byteCount: 16)
    }

    /// The proof for a timestamp in Unix seconds: lower-case hexadecimal MD5 of the token and the decimal timestamp.
    package func privilegeKey(timestamp: Int64) -> String {
        Hexadecimal.encode(Array(Insecure.MD5.hash(data: token + Array(String(timestamp).utf8))))
    }

    /// Whether a proof is right; frp does not look at the age of the timestamp.
    package func accepts(privilegeKey: String, timestamp: Int64) -> Bool {
        ConstantTime.equal(privilegeKey, self.privilegeKey(timestamp: timestamp))
    }

    /// Says what it is without the secret.
    package var description: String { "token key" }

    /// Shows nothing of the secret to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
