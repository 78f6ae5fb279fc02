// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// The SHA-256 hash of a public key: what a device remembers of its server.
///
/// Of a server it is the hash of the certificate's SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7).
package struct KeyFingerprint: Sendable, Hashable, CustomStringConvertible {
    /// The length of a fingerprint, in bytes.
    package static let byteCount = 32
    /// The length of the beginning that an invite carries, in bytes.
    package static let prefixByteCount = 10

    /// The hash, 32 bytes.
    package let bytes: [UInt8]

    /// Takes a fingerprint from its bytes; throws `CryptoError.length` when there are not 32.
    package init(bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == Self.byteCount else { throw .length(expected: Self.byteCount, found: bytes.count) }
        self.bytes = bytes
    }

    /// Hashes an encoded public key.
    package init(of publicKey: [UInt8]) {
        bytes = SHA256Digest(of: publicKey).bytes
    }

    /// Reads `SHA256:` and base 64 without padding, or 64 hexadecimal digits; nil for anything else.
    package init?(_ text: String) {
        if let bytes = Hexadecimal.decode(text), bytes.count == Self.byteCount {
            self.bytes = bytes
        } else if text.hasPrefix("SHA256:"), let bytes = Base64Digits.decode(String(text.dropFirst(7))),
            bytes.count == Self.byteCount
        {
            self.bytes = bytes
        } else {
            return nil
        }
    }

    /// The first 80 bits.
    package var prefix80: [UInt8] { Array(bytes.prefix(Self.prefixByteCount)) }

    /// Whether the fingerprint begins with the 10 bytes of an invite.
    package func matches(prefix80: [UInt8]) -> Bool {
        ConstantTime.equal(self.prefix80, prefix80)
    }

    /// `SHA256:` and base 64 without padding, as OpenSSH writes fingerprints.
    package var description: String { "SHA256:" + Base64Digits.encode(bytes) }
}
