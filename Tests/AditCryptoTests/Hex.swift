// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// The bytes of a hexadecimal literal in a test.
func bytes(_ hexadecimal: String) -> [UInt8] {
    guard let bytes = Hexadecimal.decode(hexadecimal) else { preconditionFailure("not hexadecimal: \(hexadecimal)") }
    return bytes
}

/// Calls `body` with a copy of `bytes` for each of its bits, with that bit flipped.
func withEachBitFlipped(_ bytes: [UInt8], _ body: ([UInt8]) throws -> Void) rethrows {
    for index in bytes.indices {
        for bit in 0..<8 {
            var flipped = bytes
            flipped[index] ^= 1 << UInt8(bit)
            try body(flipped)
        }
    }
}
