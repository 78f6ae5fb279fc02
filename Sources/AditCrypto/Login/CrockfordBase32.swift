// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Crockford's base 32: digits and letters without I, L, O and U, which are easily misread.
enum CrockfordBase32 {
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// The character of a value in 0 ..< 32.
    static func character(_ value: UInt8) -> Character {
        Character(UnicodeScalar(alphabet[Int(value)]))
    }

    /// The value of a character of either case, with O read as 0 and I and L as 1; nil for any other.
    static func value(_ character: Character) -> UInt8? {
        guard let ascii = character.asciiValue else { return nil }
        let upper = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(ascii) ? ascii - 32 : ascii
        switch upper {
        case UInt8(ascii: "O"): return 0
        case UInt8(ascii: "I"), UInt8(ascii: "L"): return 1
        default: return alphabet.firstIndex(of: upper).map { UInt8($0) }
        }
    }
}
