// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOHTTP1

/// What kind of answer a visitor's program asks for (RFC 9110 section 12.5).
enum HTTPPreference {
    /// Whether it names HTML: browsers do, programs say `*/*` or nothing.
    static func wantsHTML(_ head: HTTPRequestHead) -> Bool {
        head.headers["accept"].contains { value in
            HTTPField.members(value).contains { member in
                let type = HTTPField.trim(Substring(member.utf8.prefix { $0 != UInt8(ascii: ";") }))
                return HTTPField.isEqual(type, "text/html") || HTTPField.isEqual(type, "application/xhtml+xml")
            }
        }
    }

    /// Whether it is a call of gRPC, whose library reads trailers and not pages.
    static func isGRPC(_ head: HTTPRequestHead) -> Bool {
        guard head.version.major == 2, let type = head.headers.first(name: "content-type") else { return false }
        let name = "application/grpc"
        guard type.utf8.count >= name.utf8.count, HTTPField.isSameName(String(type.prefix(name.utf8.count)), name)
        else {
            return false
        }
        // Not application/grpc-web, which is made for HTTP/1.1.
        let next = type.utf8.dropFirst(name.utf8.count).first
        return next == nil || next == UInt8(ascii: "+") || next == UInt8(ascii: ";") || next == UInt8(ascii: " ")
    }

    /// The language of Adit's that the visitor likes best; English when it names none.
    static func language(_ head: HTTPRequestHead) -> Language {
        var best: (language: Language, weight: Int)?
        for value in head.headers["accept-language"] {
            for member in HTTPField.members(value) {
                let parts = member.utf8.split(separator: UInt8(ascii: ";")).map { HTTPField.trim(Substring($0)) }
                guard let range = parts.first else { continue }
                let primary = Substring(range.utf8.prefix { $0 != UInt8(ascii: "-") })
                let language: Language
                if HTTPField.isEqual(primary, "zh") {
                    language = .chinese
                } else if HTTPField.isEqual(primary, "en") {
                    language = .english
                } else {
                    continue
                }
                let weight = weight(parts.dropFirst())
                if weight > best?.weight ?? 0 { best = (language, weight) }
            }
        }
        return best?.language ?? .english
    }

    /// `q` in thousandths; 1000 when it is missing or not a weight.
    private static func weight(_ parameters: some Sequence<Substring>) -> Int {
        for parameter in parameters where HTTPField.isEqual(parameter.prefix(2), "q=") {
            let digits = Array(parameter.utf8.dropFirst(2))
            guard let whole = digits.first, whole == 48 || whole == 49, digits.count <= 5 else { return 1_000 }
            if whole == 49 { return 1_000 }
            var weight = 0
            var unit = 100
            for digit in digits.dropFirst(2) {
                guard (48...57).contains(digit) else { return 1_000 }
                weight += Int(digit - 48) * unit
                unit /= 10
            }
            return weight
        }
        return 1_000
    }
}
