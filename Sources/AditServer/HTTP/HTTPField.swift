// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// One header field (RFC 9110 section 5).
struct HTTPField: Sendable, Equatable {
    var name: String
    var value: String

    /// Whether the text is a token, as names of fields are (RFC 9110 section 5.6.2).
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(isTokenByte)
    }

    /// Whether the text has no control character except tab, so that it cannot end its own line.
    static func isValue(_ text: String) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { bytes in
            bytes.allSatisfy(isValueByte)
        } ?? text.utf8.allSatisfy(isValueByte)
    }

    /// The fields of a tunnel's configuration that may be set on a message, in the order of their names.
    static func settable(_ fields: [String: String]) -> [HTTPField] {
        fields.compactMap { name, value in
            guard isName(name), isValue(value) else { return nil }
            switch HTTPFieldKind(name) {
            case .plain, .forwarded, .authorization, .accept, .trailer, .via: return HTTPField(name: name, value: value)
            default: return nil
            }
        }.sorted { $0.name < $1.name }
    }

    /// Whether two names of fields are the same: they are compared without case.
    static func isSameName(_ left: String, _ right: String) -> Bool {
        let left = left.utf8
        let right = right.utf8
        return left.count == right.count && zip(left, right).allSatisfy { asciiLower($0) == asciiLower($1) }
    }

    /// The value without the spaces and tabs around it.
    static func trim(_ value: some StringProtocol) -> Substring {
        var rest = Substring(value)
        while let byte = rest.utf8.first, byte == 32 || byte == 9 { rest = Substring(rest.utf8.dropFirst()) }
        while let byte = rest.utf8.last, byte == 32 || byte == 9 { rest = Substring(rest.utf8.dropLast()) }
        return rest
    }

    /// The members of a list (RFC 9110 section 5.6.1); empty ones are left out.
    static func members(_ value: String) -> [Substring] {
        value.utf8.split(separator: UInt8(ascii: ",")).map { trim(Substring($0)) }.filter { !$0.isEmpty }
    }

    /// Whether the text is `lowerCase` when its own case does not count.
    static func isEqual(_ text: Substring, _ lowerCase: StaticString) -> Bool {
        text.utf8.count == lowerCase.utf8CodeUnitCount
            && lowerCase.withUTF8Buffer { expected in
                zip(text.utf8, expected).allSatisfy { asciiLower($0) == $1 }
            }
    }

    /// The lower case of an ASCII letter; any other byte as it is.
    static func asciiLower(_ byte: UInt8) -> UInt8 {
        byte >= 65 && byte <= 90 ? byte | 32 : byte
    }

    private static func isValueByte(_ byte: UInt8) -> Bool {
        (byte >= 32 && byte != 127) || byte == 9
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
