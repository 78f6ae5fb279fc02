// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A fault in what a peer sent, found while checking keys, signatures or sealed records.
package enum CryptoError: Error, Sendable, Equatable {
    /// A key, signature or nonce has the wrong number of bytes.
    case length(expected: Int, found: Int)
    /// The bytes are not those that the holder of the key sent.
    case notAuthentic
    /// A record's length field is outside what the stream allows.
    case recordLength(UInt32)
    /// The stream has carried all the records that one key may protect.
    case recordLimit
    /// The key cannot be used for signing.
    case signing
}
