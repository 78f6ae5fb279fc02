// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Why a TLS connection is turned away before its handshake (RFC 8446 section 6.2).
package enum TLSAlert: UInt8, Sendable, Hashable {
    /// A message that cannot be read.
    case decodeError = 50
    /// No service for what is asked here.
    case internalError = 80
    /// No service under the server name (RFC 6066 section 3).
    case unrecognizedName = 112

    /// The record that says so: fatal, in plain text, as everything before the keys are agreed.
    package var record: [UInt8] { [21, 3, 3, 0, 2, 2, rawValue] }
}
