// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A domain as visitors type it, lower case, perhaps with `*.` in front.
struct DomainName {
    let text: String

    /// Reads a domain (RFC 1035 section 2.3.1, with digits first and underscores as in practice) or an IP address; nil
    /// for anything else. `*` alone and `*.` in front stand for any name.
    init?(pattern: String) {
        var labels = pattern.lowercased().split(separator: ".", omittingEmptySubsequences: false)
        if labels.first == "*" { labels.removeFirst() }
        guard pattern.utf8.count <= 253, labels.allSatisfy(Self.isLabel) else { return nil }
        text = pattern.lowercased()
    }

    /// Whether the text may be one part of a domain.
    static func isLabel(_ label: Substring) -> Bool {
        (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
            && label.utf8.allSatisfy {
                (48...57).contains($0) || (97...122).contains($0) || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            }
    }
}
