// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import Crypto

/// Stretches a password into a key: PBKDF2 with HMAC-SHA1 (RFC 8018 section 5.2), which frp's wire fixes.
package enum PBKDF2SHA1 {
    /// The first `byteCount` bytes of the key; `iterations` is at least 1.
    package static func derive(password: [UInt8], salt: [UInt8], iterations: Int, byteCount: Int) -> [UInt8] {
        precondition(iterations > 0 && byteCount >= 0, "PBKDF2 needs at least one iteration")
        let key = SymmetricKey(data: password)
        var output: [UInt8] = []
        var block: UInt32 = 1
        while output.count < byteCount {
            let number = (0..<4).map { UInt8(truncatingIfNeeded: block >> UInt32(24 - 8 * $0)) }
            var link = mac(salt + number, key)
            var sum = link
            for _ in 1..<iterations {
                link = mac(link, key)
                for index in sum.indices { sum[index] ^= link[index] }
            }
            output += sum
            block += 1
        }
        return Array(output.prefix(byteCount))
    }

    private static func mac(_ message: [UInt8], _ key: SymmetricKey) -> [UInt8] {
        Array(HMAC<Insecure.SHA1>.authenticationCode(for: message, using: key))
    }
}
