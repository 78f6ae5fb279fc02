// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Reads Swift far enough to tell code from comments and string literals.
enum SwiftText {
    private enum Place: Equatable {
        case code
        case blockComment(depth: Int)
        case string(hashes: Int, multiline: Bool)
    }

    /// The lines with comments removed and the content of string literals left out, line numbers kept.
    ///
    /// Interpolated code counts as part of its literal.
    static func withoutCommentsAndStrings(lines: [String]) -> [String] {
        var place = Place.code
        return lines.map { line in
            var kept = ""
            var rest = Substring(line)
            if case .string(_, multiline: false) = place { place = .code }
            // Most lines hold neither; walking them character by character is what takes time.
            if place == .code, !line.utf8.contains(UInt8(ascii: "/")), !line.utf8.contains(UInt8(ascii: "\"")) {
                return line
            }
            while !rest.isEmpty {
                switch place {
                case .code: readCode(&rest, &kept, &place)
                case .blockComment(let depth): readComment(&rest, &place, depth: depth)
                case .string(let hashes, let multiline): readString(&rest, &kept, &place, hashes, multiline)
                }
            }
            return kept
        }
    }

    private static func readCode(_ rest: inout Substring, _ kept: inout String, _ place: inout Place) {
        let plain = rest.utf8.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "#") }
        if !plain.isEmpty {
            kept.append(contentsOf: rest[..<plain.endIndex])
            rest = rest[plain.endIndex...]
        } else if rest.hasPrefix("//") {
            rest = ""
        } else if rest.hasPrefix("/*") {
            place = .blockComment(depth: 1)
            rest.removeFirst(2)
        } else if let (hashes, multiline) = literalStart(rest) {
            place = .string(hashes: hashes, multiline: multiline)
            kept.append("\"")
            rest.removeFirst(hashes + (multiline ? 3 : 1))
        } else {
            kept.append(rest.removeFirst())
        }
    }

    private static func literalStart(_ rest: Substring) -> (hashes: Int, multiline: Bool)? {
        let hashes = rest.prefix(while: { $0 == "#" }).count
        let after = rest.dropFirst(hashes)
        guard after.first == "\"" else { return nil }
        return (hashes, after.hasPrefix("\"\"\""))
    }

    private static func readComment(_ rest: inout Substring, _ place: inout Place, depth: Int) {
        if rest.hasPrefix("*/") {
            place = depth == 1 ? .code : .blockComment(depth: depth - 1)
            rest.removeFirst(2)
        } else if rest.hasPrefix("/*") {
            place = .blockComment(depth: depth + 1)
            rest.removeFirst(2)
        } else {
            rest.removeFirst()
        }
    }

    private static func readString(
        _ rest: inout Substring,
        _ kept: inout String,
        _ place: inout Place,
        _ hashes: Int,
        _ multiline: Bool
    ) {
        let marks = String(repeating: "#", count: hashes)
        let end = (multiline ? "\"\"\"" : "\"") + marks
        if rest.hasPrefix("\\" + marks) {
            rest.removeFirst(min(rest.count, 2 + hashes))
        } else if rest.hasPrefix(end) {
            kept.append("\"")
            place = .code
            rest.removeFirst(end.count)
        } else {
            rest.removeFirst()
        }
    }
}
