// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the texts promise is there.
enum Texts {
    /// The `make` targets that a text tells the reader to run.
    static func promisedTargets(_ text: String) -> Set<String> {
        var found: Set<String> = []
        for line in text.split(separator: "\n") {
            for piece in line.components(separatedBy: "make ").dropFirst() {
                let isCommand = line.hasPrefix("make ") || line.hasPrefix("$ make ") || line.contains("`make ")
                let target = piece.prefix { $0.isLetter || $0 == "-" }
                if isCommand, !target.isEmpty { found.insert(String(target)) }
            }
        }
        return found
    }

    /// The targets of a Makefile.
    static func targets(makefile: String) -> Set<String> {
        var found: Set<String> = []
        for line in makefile.split(separator: "\n") where line.first?.isLetter == true {
            guard let colon = line.firstIndex(of: ":"), !line[colon...].hasPrefix(":=") else { continue }
            found.formUnion(line[..<colon].split(separator: " ").map(String.init))
        }
        return found
    }

    /// The levels of a Markdown text's headings, in order; code blocks aside.
    static func headingLevels(_ text: String) -> [Int] {
        var inCode = false
        return text.split(separator: "\n").compactMap { line in
            if line.hasPrefix("```") { inCode.toggle() }
            let level = line.prefix { $0 == "#" }.count
            return !inCode && level > 0 && line.dropFirst(level).hasPrefix(" ") ? level : nil
        }
    }

    /// The local files that a Markdown text links to.
    static func linkedFiles(_ text: String) -> [String] {
        text.components(separatedBy: "](").dropFirst().compactMap { piece in
            let target = piece.prefix { $0 != ")" && $0 != "#" }
            return target.isEmpty || target.contains("://") ? nil : String(target)
        }
    }
}
