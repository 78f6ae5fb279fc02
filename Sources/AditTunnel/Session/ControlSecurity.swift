// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto
package import AditWire

/// How the control stream is encrypted from the byte after the login's answer.
package enum ControlSecurity: Sendable, Equatable {
    /// Not a second time: TLS is around it (Adit's `tls-control`).
    case none
    /// Wire v1: AES-128-CFB in each direction, with the key of the token.
    case cfb(token: String)
    /// Wire v2: an AEAD whose keys come from the token and both hellos.
    case aead(FRPControlCipher, token: String, transcript: FRPControlTranscript)
}

/// What happens to the bytes of a work connection between the application and the wire.
///
/// From the application outward: compression, then encryption.
package struct WorkTransform: Sendable, Hashable {
    /// Snappy's framing format, each write at least one chunk.
    package var isCompressed: Bool
    /// AES-128-CFB with the key of this token; nil for none.
    package var token: String?

    /// Makes a transform.
    package init(isCompressed: Bool = false, token: String? = nil) {
        self.isCompressed = isCompressed
        self.token = token
    }

    /// The transform that a proxy's flags ask for.
    ///
    /// Frp's payload encryption is skipped between Adit peers: TLS 1.3 is around the stream, and a device with a key shares no
    /// token from which a key could come.
    package init(_ proxy: FRPNewProxy, token: String, isAdit: Bool) {
        self.init(isCompressed: proxy.useCompression, token: proxy.useEncryption && !isAdit ? token : nil)
    }
}
