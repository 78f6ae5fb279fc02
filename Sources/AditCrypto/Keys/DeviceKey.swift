// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import Crypto

/// A device's own key: an Ed25519 private key (RFC 8032) that never leaves the device.
package struct DeviceKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// The length of the seed, in bytes.
    package static let seedByteCount = 32

    /// The 32 secret bytes that are kept in the state folder.
    package let seed: [UInt8]
    /// The half that servers know.
    package let publicKey: DevicePublicKey
    private let key: Curve25519.Signing.PrivateKey

    /// Makes the key of a seed of 32 random bytes; throws `CryptoError.length` for another number.
    package init(seed: [UInt8]) throws(CryptoError) {
        guard seed.count == Self.seedByteCount, let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        else { throw .length(expected: Self.seedByteCount, found: seed.count) }
        self.seed = seed
        self.key = key
        publicKey = try DevicePublicKey(bytes: Array(key.publicKey.rawRepresentation))
    }

    /// Signs a message; the signature has 64 bytes.
    package func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
        guard let signature = try? key.signature(for: message) else { throw .signing }
        return Array(signature)
    }

    /// Names the public half only.
    package var description: String { "device key \(publicKey)" }

    /// Shows nothing of the secret to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}
