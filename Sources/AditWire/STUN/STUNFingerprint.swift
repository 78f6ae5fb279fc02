// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// FINGERPRINT (RFC 8489 section 14.7): CRC-32 of ITU-T V.42 over the message before it, XOR 0x5354554E.
package enum STUNFingerprint {
    /// The value for a message whose bytes up to FINGERPRINT are given, its length field already counting FINGERPRINT.
    package static func value(of bytes: RawSpan) -> UInt32 {
        var register: UInt32 = 0xFFFF_FFFF
        // Taken out of its global once, not for each byte.
        let table = table
        for offset in 0..<bytes.byteCount {
            let index = Int(UInt8(truncatingIfNeeded: register) ^ bytes.byte(at: offset))
            register = register >> 8 ^ table[index]
        }
        return ~register ^ 0x5354_554E
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1
        }
    }
}
