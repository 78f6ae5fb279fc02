// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOHTTP1

/// A request target taken apart (RFC 9112 section 3.2), every part byte for byte.
struct HTTPRequestTarget {
    /// Host and port of a target in absolute-form; nil for the other forms.
    let authority: Substring?
    /// The target in the form for an origin server: a path with its query, or `*`.
    let sent: Substring
    /// The path without the query.
    let path: Substring

    init(_ target: String, method: HTTPMethod) throws(HTTPRefusal) {
        let malformed = HTTPRefusal.malformed(Text("The address in the request is not valid.", zh: "请求中的网址无效。"))
        // The parser replaces what is not UTF-8, so that such a target could not be passed on as it came.
        guard !target.isEmpty, target.utf8.allSatisfy({ $0 > 32 && $0 != 127 && $0 != UInt8(ascii: "#") }),
            !target.unicodeScalars.contains("\u{FFFD}")
        else { throw malformed }
        if target.utf8.first == UInt8(ascii: "/") {
            authority = nil
            sent = Substring(target)
        } else if target == "*" {
            guard method == .OPTIONS else { throw malformed }
            authority = nil
            sent = "*"
        } else {
            let (authority, rest) = try Self.absolute(target, malformed)
            self.authority = authority
            if rest.isEmpty {
                sent = method == .OPTIONS ? "*" : "/"
            } else {
                sent = rest.utf8.first == UInt8(ascii: "?") ? "/" + rest : rest
            }
        }
        path = sent[..<(sent.utf8.firstIndex(of: UInt8(ascii: "?")) ?? sent.endIndex)]
    }

    private static func absolute(
        _ target: String,
        _ malformed: HTTPRefusal
    ) throws(HTTPRefusal) -> (Substring, Substring) {
        guard let colon = target.utf8.firstIndex(of: UInt8(ascii: ":")) else { throw malformed }
        let scheme = target[..<colon]
        let rest = target[colon...]
        guard HTTPField.isEqual(scheme, "http") || HTTPField.isEqual(scheme, "https"), rest.hasPrefix("://") else {
            throw malformed
        }
        let begin = rest.utf8.index(colon, offsetBy: 3)
        let end = rest[begin...].utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        return (rest[begin..<end], rest[end...])
    }
}
