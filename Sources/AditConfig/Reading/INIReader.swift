// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads INI as frp's programs do, into a table of sections whose values have no type.
///
/// Comments are whole lines that begin with `#` or `;`. A value keeps everything to the end of its line; a pair of quotes
/// around it is taken off, a backslash at its end joins the next line, and three double quotes or a backquote hold a
/// text of several lines. A key without a value means true. A section or key that is there twice: the later value counts.
struct INIReader {
    /// How many sections a file may have.
    private static let maximumSections = 10000

    private let text: SourceText
    private var lines: [Range<Int>] = []
    private var sections: [(name: String, position: SourcePosition, table: ConfigurationTable)] = []
    private var sectionIndex: [String: Int] = [:]

    private init(_ text: SourceText) {
        self.text = text
        var start = 0
        for (offset, byte) in text.bytes.enumerated() where byte == UInt8(ascii: "\n") {
            lines.append(start..<offset)
            start = offset + 1
        }
        lines.append(start..<text.bytes.count)
    }

    /// Reads the whole text; keys before the first section are a fault.
    static func read(_ text: SourceText) throws(SyntaxFault) -> ConfigurationNode {
        var reader = INIReader(text)
        try reader.readLines()
        let entries = reader.sections.map { section in
            ConfigurationTable.Entry(
                key: section.name,
                keyPosition: section.position,
                node: ConfigurationNode(.table(section.table), at: section.position)
            )
        }
        return ConfigurationNode(.table(ConfigurationTable(entries)), at: .start)
    }

    private mutating func readLines() throws(SyntaxFault) {
        var number = 0
        var current: Int?
        while number < lines.count {
            let line = trim(lines[number])
            number += 1
            guard let first = line.first.map({ text.bytes[$0] }) else { continue }
            if first == UInt8(ascii: "#") || first == UInt8(ascii: ";") { continue }
            if first == UInt8(ascii: "[") {
                current = try section(line)
                continue
            }
            guard let current else {
                throw SyntaxFault(
                    at: text.position(of: line.lowerBound),
                    Text("a key stands before the first section", zh: "键出现在第一个小节之前"),
                    hint: Text("write [common] above it", zh: "请在其上方写 [common]")
                )
            }
            try pair(line, section: current, next: &number)
        }
    }

    private mutating func section(_ line: Range<Int>) throws(SyntaxFault) -> Int {
        let position = text.position(of: line.lowerBound)
        guard let close = text.bytes[line].lastIndex(of: UInt8(ascii: "]")) else {
            throw SyntaxFault(
                at: position,
                Text("the closing bracket of the section is missing", zh: "小节缺少右方括号")
            )
        }
        let rest = trim(close + 1..<line.upperBound)
        if let after = rest.first, text.bytes[after] != UInt8(ascii: "#"),
            text.bytes[after] != UInt8(ascii: ";")
        {
            throw SyntaxFault(
                at: text.position(of: after),
                Text("there is something after the section's name", zh: "小节名之后还有内容")
            )
        }
        let name = string(trim(line.lowerBound + 1..<close))
        guard !name.isEmpty else {
            throw SyntaxFault(at: position, Text("the section has no name", zh: "小节没有名字"))
        }
        if let index = sectionIndex[name] { return index }
        guard sections.count < Self.maximumSections else {
            throw SyntaxFault(
                at: position,
                Text(
                    "there are more than \(Self.maximumSections) sections",
                    zh: "小节超过 \(Self.maximumSections) 个"
                )
            )
        }
        sections.append((name, position, ConfigurationTable()))
        sectionIndex[name] = sections.count - 1
        return sections.count - 1
    }

    private mutating func pair(_ line: Range<Int>, section: Int, next: inout Int) throws(SyntaxFault) {
        var nameRange = line
        var valueRange = line.upperBound..<line.upperBound
        var hasValue = false
        if let delimiter = text.bytes[line].firstIndex(where: {
            $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":")
        }) {
            nameRange = trim(line.lowerBound..<delimiter)
            valueRange = trim(delimiter + 1..<line.upperBound)
            hasValue = true
        }
        let keyPosition = text.position(of: line.lowerBound)
        let name = unquoted(string(nameRange))
        guard !name.isEmpty else {
            throw SyntaxFault(
                at: keyPosition,
                Text("the key before the equals sign is missing", zh: "等号前缺少键")
            )
        }
        let value = hasValue ? try self.value(valueRange, next: &next) : "true"
        let valuePosition = hasValue ? text.position(of: valueRange.lowerBound) : keyPosition
        sections[section].table.entries.append(
            .init(
                key: name,
                keyPosition: keyPosition,
                node: ConfigurationNode(.untyped(value), at: valuePosition)
            )
        )
    }

    private func value(_ range: Range<Int>, next: inout Int) throws(SyntaxFault) -> String {
        let slice = text.bytes[range]
        if slice.starts(with: Array("\"\"\"".utf8)) {
            return try block(range.lowerBound + 3, Array("\"\"\"".utf8), next: &next)
        }
        if slice.first == UInt8(ascii: "`") {
            return try block(range.lowerBound + 1, [UInt8(ascii: "`")], next: &next)
        }
        var value = string(range)
        while value.hasSuffix("\\"), next < lines.count {
            value.removeLast()
            value += string(trim(lines[next]))
            next += 1
        }
        return unquoted(value)
    }

    private func block(_ start: Int, _ close: [UInt8], next: inout Int) throws(SyntaxFault) -> String {
        var offset = start
        while offset + close.count <= text.bytes.count {
            if text.bytes[offset] == close[0],
                text.bytes[offset..<offset + close.count].elementsEqual(close)
            {
                while next < lines.count, lines[next].lowerBound <= offset { next += 1 }
                return string(start..<offset)
            }
            offset += 1
        }
        throw SyntaxFault(
            at: text.position(of: start - close.count),
            Text("the end of this quoted text is missing", zh: "引用文本没有结束")
        )
    }

    private func unquoted(_ value: String) -> String {
        let bytes = value.utf8
        guard bytes.count >= 2, let quote = bytes.first, bytes.last == quote,
            quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") || quote == UInt8(ascii: "`")
        else { return value }
        return String(value.dropFirst().dropLast())
    }

    private func trim(_ range: Range<Int>) -> Range<Int> {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high, isSpace(text.bytes[low]) { low += 1 }
        while low < high, isSpace(text.bytes[high - 1]) { high -= 1 }
        return low..<high
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 }

    private func string(_ range: Range<Int>) -> String {
        String(decoding: text.bytes[range], as: UTF8.self)
    }
}
