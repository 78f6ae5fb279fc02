// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// The bytes of a hexadecimal literal in a test.
func hex(_ hexadecimal: String) -> [UInt8] {
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

extension FRPFrame {
    /// Decodes the frame at the start of an array.
    static func decode(_ bytes: [UInt8], _ version: FRPWireVersion) throws(WireError) -> (
        frame: FRPFrame, byteCount: Int
    )? {
        try decode(bytes.span.bytes, version: version)
    }

    /// The frame's bytes.
    func encoded(_ version: FRPWireVersion) throws(WireError) -> [UInt8] {
        var bytes: [UInt8] = []
        try encode(version: version, into: &bytes)
        return bytes
    }
}
