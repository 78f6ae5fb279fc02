// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The two framings of frp's messages; a connection uses one of them from its first byte to its last message.
package enum FRPWireVersion: String, Sendable, Hashable, CaseIterable, Codable {
    /// Type byte, 64-bit length, JSON.
    case v1
    /// Seven bytes of magic, then frames with a 16-bit type, flags and a 32-bit length.
    case v2

    /// The longest JSON object (v1) or frame payload (v2) that a peer may send, in bytes.
    package var payloadLimit: Int {
        switch self {
        case .v1: 10_240
        case .v2: 65_536
        }
    }
}

/// The bytes with which every wire v2 connection starts.
package enum FRPWireMagic {
    /// `FRP`, version 2, carriage return, line feed.
    package static let bytes: [UInt8] = [0x46, 0x52, 0x50, 0x00, 0x02, 0x0D, 0x0A]
}
