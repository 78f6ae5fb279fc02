// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import Crypto

/// The public half of a device's key: who a device is, to every server that it joins.
package struct DevicePublicKey: Sendable, Hashable, CustomStringConvertible {
    /// The key's length, in bytes.
    package static let byteCount = 32

    /// The Ed25519 public key (RFC 8032), 32 bytes.
    package let bytes: [UInt8]

    /// Takes a key from its bytes; throws `CryptoError.length` when there are not 32.
    package init(bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == Self.byteCount else { throw .length(expected: Self.byteCount, found: bytes.count) }
        self.bytes = bytes
    }

    /// Whether the device that holds the key signed `message`; false also for a key or signature that is not valid.
    package func verify(signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == 64, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else {
            return false
        }
        return key.isValidSignature(signature, for: message)
    }

    /// `SHA256:` and the base 64 of the key's hash without padding, as OpenSSH writes fingerprints.
    package var fingerprint: String { keyFingerprint.description }

    /// The key's hash.
    package var keyFingerprint: KeyFingerprint { KeyFingerprint(of: bytes) }

    package var description: String { fingerprint }
}
