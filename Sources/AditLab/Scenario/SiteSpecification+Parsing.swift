// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

extension SiteSpecification {
    /// The longest text that is read, in characters.
    package static let longestText = 1024

    /// The names of the types, as the errors list them.
    package static let typeNames = NATRule.named.map(\.name) + ["public", "fw", "blocked", "web"]

    /// The names of the options, without the prefixes `udp_`, `tcp_` and `cgn_` that some of them take.
    package static let optionNames = [
        "nat", "udp", "tcp", "cgn", "map", "filter", "alloc", "block", "unsol", "hairpin", "udp_to", "tcp_to", "syn_to",
        "timer", "refresh", "pool", "maxflows", "track", "icmp", "mtu",
    ]

    /// Reads the language of sites: a type such as `port`, or `option=value`, separated by commas.
    ///
    /// The order of the words does not matter. What is said of one transport or of the carrier's NAT holds against what is
    /// said of all.
    package init(_ text: String) throws(SiteSpecificationError) {
        var reader = SiteSpecificationReader(try SiteWord.words(of: text))
        self = try reader.site()
    }
}

/// One `option=value` of the language, and where it stands.
struct SiteWord {
    var option: String
    var value: String
    var text: String
    var position: Int

    func error(_ fault: SiteSpecificationError.Fault, nearest: String? = nil) -> SiteSpecificationError {
        SiteSpecificationError(word: String(text.prefix(40)), position: position, fault: fault, nearest: nearest)
    }

    static func words(of text: String) throws(SiteSpecificationError) -> [SiteWord] {
        guard text.count <= SiteSpecification.longestText else {
            throw SiteSpecificationError(word: "", position: 1, fault: .tooLong)
        }
        var words: [SiteWord] = []
        var position = 1
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            defer { position += part.count + 1 }
            let word = part.trimmingSpaces
            let start = position + part.prefix { $0 == " " }.count
            guard !word.isEmpty else { throw SiteSpecificationError(word: "", position: start, fault: .missing) }
            let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            // A type alone is the type of both transports.
            let option = sides.count == 2 ? sides[0].lowercased() : "nat"
            let value = sides.count == 2 ? sides[1].lowercased() : sides[0].lowercased()
            let new = SiteWord(option: option, value: value, text: String(word), position: start)
            guard !words.contains(where: { $0.option == option }) else {
                throw new.error(sides.count == 2 || Self.isType(value) ? .repeated : .unknownOption)
            }
            words.append(new)
        }
        return words
    }

    private static func isType(_ value: String) -> Bool {
        SiteSpecification.typeNames.contains(value)
    }
}

extension Substring {
    var trimmingSpaces: Substring {
        var trimmed = self
        while trimmed.first == " " { trimmed.removeFirst() }
        while trimmed.last == " " { trimmed.removeLast() }
        return trimmed
    }
}
