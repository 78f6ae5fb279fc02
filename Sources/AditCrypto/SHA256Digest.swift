// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// The 32 bytes of a SHA-256 hash (FIPS 180-4).
package struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
    /// The hash, 32 bytes.
    package let bytes: [UInt8]

    /// Hashes `message`.
    package init(of message: [UInt8]) {
        bytes = Array(SHA256.hash(data: message))
    }

    /// The hash in lower-case hexadecimal.
    package var description: String { Hexadecimal.encode(bytes) }
}
