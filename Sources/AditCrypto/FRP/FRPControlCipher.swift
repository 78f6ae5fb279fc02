// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The ciphers that wire v2 knows for the control stream.
package enum FRPControlCipher: String, Sendable, CaseIterable {
    case aes256GCM = "aes-256-gcm"
    case xchacha20Poly1305 = "xchacha20-poly1305"

    /// The length of a nonce, in bytes.
    package var nonceByteCount: Int {
        switch self {
        case .aes256GCM: 12
        case .xchacha20Poly1305: 24
        }
    }

    /// The server's choice: the first of the client's names that is known; nil when none is.
    package static func select(from algorithms: [String]) -> FRPControlCipher? {
        algorithms.lazy.compactMap(FRPControlCipher.init(rawValue:)).first
    }
}

/// Which way a control stream runs; each way has its own key.
package enum FRPControlDirection: String, Sendable {
    case clientToServer = "client-to-server"
    case serverToClient = "server-to-client"
}
