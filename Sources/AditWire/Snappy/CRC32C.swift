// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// The Castagnoli CRC (RFC 3720 section 12.1), eight bytes at a time.
package enum CRC32C {
    /// The checksum of `bytes`.
    package static func checksum(_ bytes: RawSpan) -> UInt32 {
        var crc = UInt32.max
        unsafe tables.withUnsafeBufferPointer { tables in
            unsafe bytes.withUnsafeBytes { bytes in
                var offset = 0
                while offset + 8 <= bytes.count {
                    let word = unsafe UInt64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    )
                    let mixed = word ^ UInt64(crc)
                    crc = 0
                    for byte in 0..<8 {
                        crc ^= unsafe tables[(7 - byte) << 8 | Int(mixed >> UInt64(8 * byte) & 255)]
                    }
                    offset += 8
                }
                while offset < bytes.count {
                    crc = unsafe crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[offset])) & 255)]
                    offset += 1
                }
            }
        }
        return ~crc
    }

    /// The checksum as snappy's framing format stores it: rotated and offset, so that it may be part of checked data.
    package static func masked(_ bytes: RawSpan) -> UInt32 {
        let crc = checksum(bytes)
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }

    /// Eight tables of 256 entries; table `k` advances a byte that has `k` bytes behind it.
    private static let tables: [UInt32] = {
        var tables: [UInt32] = []
        for index: UInt32 in 0..<256 {
            var crc = index
            for _ in 0..<8 {
                let shifted = crc >> 1
                crc = crc & 1 == 0 ? shifted : shifted ^ 0x82F6_3B78
            }
            tables.append(crc)
        }
        for index in 256..<2048 {
            let shorter = tables[index - 256]
            tables.append(shorter >> 8 ^ tables[Int(shorter & 255)])
        }
        return tables
    }()
}
