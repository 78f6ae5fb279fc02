// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Refuses the uses of YAML aliases that let a small file grow without a bound inside the YAML library.
///
/// The library shares what an alias stands for, so aliases as values cost nothing until the tree is converted, which
/// counts. It does compare keys, and a key made of aliases to aliases has no end; so an alias may only be a whole
/// value, a list item of its own line, or the source of a merge.
enum YAMLAliasGuard {
    static func check(_ text: SourceText) throws(SyntaxFault) {
        guard text.bytes.contains(UInt8(ascii: "&")), text.bytes.contains(UInt8(ascii: "*")) else {
            return
        }
        var lineStart = 0
        var complexKey: Int?
        var hasAlias = false
        for line in text.bytes.split(separator: 10, omittingEmptySubsequences: false) {
            defer { lineStart += line.count + 1 }
            let line = withoutComment(line)
            let content = afterDashes(line)
            if content.first == UInt8(ascii: "?"), content.count == 1 || content.dropFirst().first == 32 {
                complexKey = complexKey ?? lineStart
            }
            guard let alias = firstAlias(line) else { continue }
            hasAlias = true
            guard isPlainUse(line, content, alias) else {
                throw SyntaxFault(
                    at: text.position(of: lineStart + alias - line.startIndex),
                    Text(
                        "an alias may only be a whole value, a list item, or the source of <<",
                        zh: "别名只能作为完整的值、列表项或 << 的来源"
                    ),
                    hint: Text("put text that begins with * in quotes", zh: "以 * 开头的文本请加引号")
                )
            }
        }
        if hasAlias, let complexKey {
            throw SyntaxFault(
                at: text.position(of: complexKey),
                Text("a key has to be text", zh: "键必须是文本")
            )
        }
    }

    private typealias Line = ArraySlice<UInt8>

    private static func withoutComment(_ line: Line) -> Line {
        let content = line.drop { $0 == 32 || $0 == 9 }
        if content.first == UInt8(ascii: "#") { return line.prefix(0) }
        // A sharp after a quote may stand inside text that began on an earlier line.
        guard !line.contains(UInt8(ascii: "\"")), !line.contains(UInt8(ascii: "'")) else { return line }
        for index in line.indices.dropFirst() where line[index] == UInt8(ascii: "#") {
            if line[index - 1] == 32 || line[index - 1] == 9 { return line[..<index] }
        }
        return line
    }

    private static func afterDashes(_ line: Line) -> Line {
        var rest = trimmed(line)
        while rest.first == UInt8(ascii: "-"), rest.dropFirst().first == 32 {
            rest = trimmed(rest.dropFirst())
        }
        return rest
    }

    private static func firstAlias(_ line: Line) -> Int? {
        line.indices.first { index in
            guard line[index] == UInt8(ascii: "*"), index + 1 < line.endIndex else { return false }
            switch line[index + 1] {
            case 32, 9, 13, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"): return false
            default: break
            }
            guard index > line.startIndex else { return true }
            switch line[index - 1] {
            case 32, 9, UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":"),
                UInt8(ascii: "-"), UInt8(ascii: "?"):
                return true
            default:
                return false
            }
        }
    }

    private static func isPlainUse(_ line: Line, _ content: Line, _ alias: Int) -> Bool {
        let rest = trimmed(line[alias...])
        let before = trimmed(content.startIndex <= alias ? content[..<alias] : content.prefix(0))
        if rest.dropFirst().allSatisfy(isNameByte) {
            // `- *name` or `key: *name`, where the key is a plain word.
            guard let last = before.last else {
                return content.startIndex != line.startIndex || content.count < line.count
            }
            return last == UInt8(ascii: ":")
                && before.dropLast().allSatisfy { isNameByte($0) || $0 == UInt8(ascii: "<") }
        }
        // `<<: [*one, *two]`
        return before.elementsEqual("<<: [".utf8) && rest.last == UInt8(ascii: "]")
            && rest.dropLast().allSatisfy {
                isNameByte($0) || $0 == 32 || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "*")
            }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func trimmed(_ line: Line) -> Line {
        var line = line
        while let first = line.first, first == 32 || first == 9 { line.removeFirst() }
        while let last = line.last, last == 32 || last == 9 || last == 13 { line.removeLast() }
        return line
    }
}
