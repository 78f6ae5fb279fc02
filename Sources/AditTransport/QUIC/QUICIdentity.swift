// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto
import CAditQUIC

/// A device's key with a certificate of its own making, by which the device shows who it is in QUIC's handshake.
///
/// The certificate's names and times mean nothing: what counts is whose key it is, so that no clock has to be right.
package final class QUICIdentity: @unchecked Sendable {
    // Unchecked: it never changes, and TLS counts the references to it by itself.
    let pointer: OpaquePointer

    /// Makes an identity.
    package init(_ key: DeviceKey) {
        guard let made = key.seed.withUnsafeBufferPointer({ adit_quic_identity_new($0.baseAddress) }) else {
            preconditionFailure("there is no memory for a key")
        }
        pointer = made
    }

    deinit {
        adit_quic_identity_free(pointer)
    }
}
