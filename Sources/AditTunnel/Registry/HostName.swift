// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A host name in the one spelling under which routes are kept and looked up.
package struct HostName: Hashable, Sendable, CustomStringConvertible {
    /// Lower case, no trailing dot, no port; an IPv6 literal without brackets.
    package let text: String

    /// Normalises the value of a Host header, an `:authority` or a configured domain; nil when it is not a host.
    ///
    /// Case, one trailing dot and the port are dropped (RFC 9110 section 4.2.3, RFC 1034 section 3.1). Anything that
    /// two parsers could read differently is refused: user information, spaces, control characters, a second colon
    /// outside brackets, empty labels, bytes outside ASCII.
    package init?(_ header: some StringProtocol) {
        var bytes = Array(header.utf8)
        guard !bytes.isEmpty, bytes.count <= 262 else { return nil }
        if bytes[0] == UInt8(ascii: "[") {
            guard let close = bytes.firstIndex(of: UInt8(ascii: "]")), Self.isPort(bytes[(close + 1)...]),
                case .v6(let high, let low)? = IPAddress(String(decoding: bytes[1..<close], as: UTF8.self))
            else { return nil }
            text = IPAddress.v6(high: high, low: low).description
            return
        }
        if let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
            guard Self.isPort(bytes[colon...]) else { return nil }
            bytes.removeSubrange(colon...)
        }
        if bytes.last == UInt8(ascii: "."), bytes.count > 1 { bytes.removeLast() }
        guard !bytes.isEmpty, bytes.count <= 253 else { return nil }
        for index in bytes.indices {
            switch bytes[index] {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): bytes[index] |= 0x20
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "*"):
                break
            default: return nil
            }
        }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy({ (1...63).contains($0.count) }) else { return nil }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// The labels from left to right.
    package var labels: [Substring] { text.split(separator: ".") }

    /// Whether it may be configured as a pattern: `*` alone, or `*.` and a domain, or no star at all.
    package var isPattern: Bool {
        let rest = text == "*" ? "" : text.hasPrefix("*.") ? String(text.dropFirst(2)) : text
        return !rest.utf8.contains(UInt8(ascii: "*"))
    }

    package var description: String { text }

    private static func isPort(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let colon = bytes.first else { return true }
        let digits = bytes.dropFirst()
        return colon == UInt8(ascii: ":") && digits.count <= 5 && digits.allSatisfy { (48...57).contains($0) }
            && (digits.isEmpty || UInt16(String(decoding: digits, as: UTF8.self)) != nil)
    }
}
