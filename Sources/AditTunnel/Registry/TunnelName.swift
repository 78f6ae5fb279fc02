// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The rules for a name that a device wants in front of the server's domain.
package enum TunnelName {
    /// Names that a server keeps for itself: they are roles on the internet, or look like the server speaking.
    package static let reserved: Set<String> = [
        "abuse", "account", "accounts", "acme-challenge", "adit", "admin", "administrator", "api", "app", "auth",
        "autoconfig", "autodiscover", "billing", "cdn", "console", "dashboard", "dns", "docs", "ftp", "help",
        "hostmaster", "imap", "isatap", "localdomain", "localhost", "login", "mail", "mx", "ns", "ns1", "ns2", "ns3",
        "ns4", "oauth", "pop", "pop3", "postmaster", "register", "root", "security", "server", "signin", "smtp", "sso",
        "ssl", "static", "status", "stun", "support", "turn", "webmail", "webmaster", "wpad", "www",
    ]

    /// What is wrong with a name; nil when a device may have it.
    package static func fault(in name: String) -> AditError? {
        let bytes = Array(name.utf8)
        let allowed = bytes.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "-")
        }
        let hyphen = UInt8(ascii: "-")
        // Hyphens in third and fourth place mark an encoded name (RFC 5891 section 4.2.3.1): it may look like another.
        let isEncoded = bytes.count >= 4 && bytes[2] == hyphen && bytes[3] == hyphen
        guard (1...63).contains(bytes.count), allowed, bytes.first != hyphen, bytes.last != hyphen, !isEncoded else {
            return AditError(
                .nameInvalid,
                Text("The name \(shown(name)) cannot be used", zh: "名字 \(shown(name)) 不能使用"),
                why: [
                    Text(
                        "a name has 1 to 63 letters a-z, digits and hyphens, and no hyphen at either end",
                        zh: "名字由 1 到 63 个小写字母、数字和连字符组成，首尾不能是连字符"
                    )
                ],
                fix: suggestion(for: name).map {
                    Text("use --name \($0)", zh: "请用 --name \($0)")
                }
            )
        }
        guard !reserved.contains(name) else {
            return AditError(
                .nameReserved,
                Text("The name \(name) is kept for the server", zh: "名字 \(name) 由服务器保留"),
                fix: Text("use --name my-\(name)", zh: "请用 --name my-\(name)")
            )
        }
        return nil
    }

    /// The nearest valid name; nil when nothing of it is left.
    package static func suggestion(for name: String) -> String? {
        var letters: [UInt8] = []
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): letters.append(byte | 0x20)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): letters.append(byte)
            default: if let last = letters.last, last != UInt8(ascii: "-") { letters.append(UInt8(ascii: "-")) }
            }
            if letters.count == 63 { break }
        }
        while letters.last == UInt8(ascii: "-") { letters.removeLast() }
        let text = String(decoding: letters, as: UTF8.self)
        guard !text.isEmpty else { return nil }
        return reserved.contains(text) ? "my-" + text : text
    }

    /// Free names that resemble a refused one: the name with a number, then invented ones.
    package static func alternatives(
        to name: String,
        count: Int = 3,
        using generator: inout NameGenerator,
        isFree: (String) -> Bool
    ) -> [String] {
        var found: [String] = []
        for number in 2...9 where found.count < max(1, count - 1) {
            let candidate = "\(name.prefix(61))-\(number)"
            if fault(in: candidate) == nil, isFree(candidate) { found.append(candidate) }
        }
        for _ in 0..<32 where found.count < count {
            let candidate = generator.next()
            if isFree(candidate), !found.contains(candidate) { found.append(candidate) }
        }
        return found
    }

    private static func shown(_ name: String) -> String {
        String(name.unicodeScalars.prefix(64).map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) })
    }
}
