// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Nothing that ends the program because of what a peer or a person did, and no unexplained promise about threads.
enum Safety {
    static func checkForced(_ file: SourceFile) -> [Finding] {
        file.code.enumerated().flatMap { index, line -> [Finding] in
            var found = ["try!", "as!", "fatalError("].filter { Tokens.contains(line, $0) }
            if found.isEmpty, hasForcedUnwrap(line) { found.append("a forced unwrap") }
            return found.map { Finding(path: file.path, line: index + 1, message: $0) }
        }
    }

    static func hasForcedUnwrap(_ line: String) -> Bool {
        guard line.utf8.contains(UInt8(ascii: "!")) else { return false }
        let characters = Array(line)
        return characters.indices.contains { index in
            guard characters[index] == "!", index > 0 else { return false }
            let before = characters[index - 1]
            let after = index + 1 < characters.count ? characters[index + 1] : " "
            return (Tokens.isWord(before) || before == ")" || before == "]" || before == "?") && after != "="
        }
    }

    static func checkThreadPromises(_ file: SourceFile) -> [Finding] {
        file.code.enumerated().compactMap { index, line in
            guard let promise = ["@unchecked Sendable", "nonisolated(unsafe)"].first(where: line.contains),
                !isExplained(file, index)
            else { return nil }
            return Finding(path: file.path, line: index + 1, message: "\(promise) without a comment that says why")
        }
    }

    /// Whether a comment stands on the line itself or on the lines directly above, attributes aside.
    private static func isExplained(_ file: SourceFile, _ index: Int) -> Bool {
        if file.lines[index].contains("//") { return true }
        let above = file.lines[..<index].reversed().map { $0.drop(while: { $0 == " " }) }
        return above.first { !$0.hasPrefix("@") }?.hasPrefix("//") ?? false
    }
}
