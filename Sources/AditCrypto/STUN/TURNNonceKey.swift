// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import Crypto

/// What a TURN server makes nonces with, and knows its own by without remembering them.
package struct TURNNonceKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let key: SymmetricKey

    /// Makes a key from 32 random bytes.
    package init(_ bytes: [UInt8]) {
        key = SymmetricKey(data: bytes)
    }

    /// The first 12 bytes of HMAC-SHA256 over `bytes`.
    package func code(of bytes: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key).prefix(12))
    }

    /// Says what it is without the secret.
    package var description: String { "TURN nonce key" }

    /// Shows nothing of the secret to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
