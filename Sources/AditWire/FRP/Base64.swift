// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Base 64 with padding (RFC 4648 section 4), the form in which Go's JSON carries bytes.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Appends the digits of `bytes`.
    static func append(_ bytes: [UInt8], to output: inout [UInt8]) {
        output.reserveCapacity(output.count + (bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = UInt32(bytes[start]) << 16
            if count > 1 { group |= UInt32(bytes[start + 1]) << 8 }
            if count > 2 { group |= UInt32(bytes[start + 2]) }
            for digit in 0..<4 {
                if digit > count {
                    output.append(UInt8(ascii: "="))
                } else {
                    output.append(alphabet[Int(group >> (18 - 6 * UInt32(digit)) & 63)])
                }
            }
        }
    }

    /// The bytes that `text` spells; nil when it is not whole groups of four digits with padding only at the end.
    static func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { digits -> [UInt8]? in
            guard digits.count.isMultiple(of: 4) else { return nil }
            guard !digits.isEmpty else { return [] }
            let last = unsafe digits[digits.count - 1]
            let secondLast = unsafe digits[digits.count - 2]
            let padding = last != UInt8(ascii: "=") ? 0 : secondLast != UInt8(ascii: "=") ? 1 : 2
            var bytes: [UInt8] = []
            bytes.reserveCapacity(digits.count / 4 * 3)
            var group: UInt32 = 0
            for index in 0..<(digits.count - padding) {
                guard let value = value(of: unsafe digits[index]) else { return nil }
                group = group << 6 | value
                guard index % 4 == 3 else { continue }
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
            }
            if padding == 1 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 10))
                bytes.append(UInt8(truncatingIfNeeded: group >> 2))
            } else if padding == 2 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 4))
            }
            return bytes
        }
    }

    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
