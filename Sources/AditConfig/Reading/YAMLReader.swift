// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Yams

/// Reads one YAML document into a tree with places; merge keys (`<<`) are followed.
struct YAMLReader {
    /// How many values a document may have once its aliases are followed.
    private static let maximumNodes = 100_000

    private let lines: YAMLLines
    private var remaining = YAMLReader.maximumNodes

    /// Reads the whole text.
    static func read(_ text: SourceText) throws(SyntaxFault) -> ConfigurationNode {
        try YAMLAliasGuard.check(text)
        let root: Node?
        do {
            // Without rules the library takes every plain value for text, and kinds are told apart here.
            let parser = try Parser(yaml: text.string, resolver: .basic)
            root = try parser.singleRoot()
        } catch let error as YamlError {
            throw fault(error, text, YAMLLines(text))
        } catch {
            throw SyntaxFault(at: .start, Text("this is not YAML", zh: "不是合法的 YAML"))
        }
        guard let root else { return ConfigurationNode(.table(ConfigurationTable()), at: .start) }
        var reader = YAMLReader(lines: YAMLLines(text))
        let node = try reader.convert(root, depth: 0)
        if node.value == .null { return ConfigurationNode(.table(ConfigurationTable()), at: .start) }
        return node
    }

    private init(lines: YAMLLines) {
        self.lines = lines
    }

    private mutating func convert(_ node: Node, depth: Int) throws(SyntaxFault) -> ConfigurationNode {
        let position = lines.position(node.mark)
        guard depth <= JSONReader.maximumDepth else { throw tooDeep(at: position) }
        remaining -= 1
        guard remaining > 0 else {
            throw SyntaxFault(
                at: position,
                Text(
                    "the aliases of this file stand for more than \(Self.maximumNodes) values",
                    zh: "文件中的别名展开后超过 \(Self.maximumNodes) 个值"
                )
            )
        }
        switch node {
        case .scalar(let scalar):
            return ConfigurationNode(Self.value(of: scalar), at: position)
        case .sequence(let sequence):
            var elements: [ConfigurationNode] = []
            for element in sequence { elements.append(try convert(element, depth: depth + 1)) }
            return ConfigurationNode(.array(elements), at: position)
        case .mapping(let mapping):
            return ConfigurationNode(.table(try table(mapping, depth: depth + 1)), at: position)
        case .alias(let alias):
            throw SyntaxFault(
                at: lines.position(alias.mark),
                Text("this alias has no anchor", zh: "别名没有对应的锚点")
            )
        }
    }

    private mutating func table(_ mapping: Node.Mapping, depth: Int) throws(SyntaxFault)
        -> ConfigurationTable
    {
        var entries: [ConfigurationTable.Entry] = []
        var merged: [ConfigurationTable.Entry] = []
        for (keyNode, valueNode) in mapping {
            let position = lines.position(keyNode.mark)
            guard case .scalar(let key) = keyNode else {
                throw SyntaxFault(at: position, Text("a key has to be text", zh: "键必须是文本"))
            }
            guard key.string == "<<", key.style == .plain else {
                entries.append(
                    .init(key: key.string, keyPosition: position, node: try convert(valueNode, depth: depth))
                )
                continue
            }
            let sources: [Node]
            if case .sequence(let sequence) = valueNode {
                sources = Array(sequence)
            } else {
                sources = [valueNode]
            }
            for source in sources {
                guard case .table(let table) = try convert(source, depth: depth).value else {
                    throw SyntaxFault(
                        at: position,
                        Text("<< merges a mapping or a list of mappings", zh: "<< 只能合并映射或映射的列表")
                    )
                }
                merged.append(contentsOf: table.entries)
            }
        }
        // Own keys win over merged ones, and earlier sources over later ones.
        var seen = Set(entries.map(\.key))
        for entry in merged where seen.insert(entry.key).inserted { entries.append(entry) }
        return ConfigurationTable(entries)
    }

    private static func value(of scalar: Node.Scalar) -> ConfigurationNode.Value {
        guard scalar.style == .plain else { return .string(scalar.string) }
        let string = scalar.string
        switch string {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .boolean(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .boolean(false)
        default: break
        }
        if let integer = integer(string) { return .integer(integer) }
        if isFloat(string), let number = Double(string) { return .number(number) }
        return .string(string)
    }

    private static func integer(_ string: String) -> Int64? {
        var digits = Substring(string)
        let isNegative = digits.first == "-"
        if isNegative || digits.first == "+" { digits.removeFirst() }
        guard let first = digits.utf8.first, (48...57).contains(first) else { return nil }
        var radix = 10
        if digits.hasPrefix("0x") {
            radix = 16
        } else if digits.hasPrefix("0o") {
            radix = 8
        } else if digits.hasPrefix("0b") {
            radix = 2
        }
        if radix != 10 { digits.removeFirst(2) }
        let plain = digits.filter { $0 != "_" }
        guard let first = plain.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-")
        else { return nil }
        return Int64((isNegative ? "-" : "") + plain, radix: radix)
    }

    private static func isFloat(_ string: String) -> Bool {
        var hasDigit = false
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): hasDigit = true
            case UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                continue
            default: return false
            }
        }
        return hasDigit
    }

    /// Where a key of a table that is written in lines comes again; the library tells only where the table begins.
    private static func secondPlace(of key: String, from first: SourcePosition, _ text: SourceText) -> SourcePosition? {
        var isFirst = true
        var start = text.offset(of: SourcePosition(line: first.line, column: 1))
        let line = Array(repeating: UInt8(ascii: " "), count: first.column - 1) + Array(key.utf8) + [UInt8(ascii: ":")]
        while start < text.bytes.count {
            if text.bytes[start...].starts(with: line) {
                guard isFirst else { return text.position(of: start + first.column - 1) }
                isFirst = false
            }
            start = (text.bytes[start...].firstIndex(of: 10) ?? text.bytes.count) + 1
        }
        return nil
    }

    private static func fault(_ error: YamlError, _ text: SourceText, _ lines: YAMLLines) -> SyntaxFault {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            var detail = SourceText.printable(problem)
            if let context, !context.text.isEmpty {
                detail += " " + SourceText.printable(context.text)
            }
            let position = lines.position(mark)
            let line = text.line(position.line)
            let offset = text.offset(of: position)
            var hint: Text?
            if line.hasPrefix("\t") || (offset < text.bytes.count && text.bytes[offset] == 9) {
                hint = Text("YAML indents with spaces, not with tabs", zh: "YAML 用空格缩进,不能用制表符")
            } else if line.contains("=") && !line.contains(":") {
                hint = Text("YAML writes key: value", zh: "YAML 的写法是 key: value")
            }
            return SyntaxFault(
                at: position,
                Text("this is not YAML: \(detail)", zh: "不是合法的 YAML:\(detail)"),
                hint: hint
            )
        case .reader(let problem, let offset, _, _):
            let detail = SourceText.printable(problem)
            return SyntaxFault(
                at: text.position(of: offset ?? 0),
                Text("this is not YAML: \(detail)", zh: "不是合法的 YAML:\(detail)")
            )
        case .duplicatedKeysInMapping(let duplicates, let context):
            let key = SourceText.printable(duplicates.first ?? "")
            let first = lines.position(context.mark)
            return SyntaxFault(
                at: secondPlace(of: duplicates.first ?? "", from: first, text) ?? first,
                Text("the key \"\(key)\" is there twice", zh: "键 \"\(key)\" 重复")
            )
        default:
            return SyntaxFault(at: .start, Text("this is not YAML", zh: "不是合法的 YAML"))
        }
    }
}

/// YAML's lines, which end at more characters than those of an editor: CR alone, NEL, LS and PS (YAML 1.1 section 4.2).
private struct YAMLLines {
    private let text: SourceText
    /// Where each line begins; nil when they are the lines of the text.
    private let starts: [Int]?

    init(_ text: SourceText) {
        self.text = text
        let bytes = text.bytes
        var starts = [0]
        var isPlain = true
        var index = 0
        while index < bytes.count {
            var width = 0
            switch bytes[index] {
            case 10: width = 1
            case 13:
                width = index + 1 < bytes.count && bytes[index + 1] == 10 ? 2 : 1
                if width == 1 { isPlain = false }
            case 0xC2 where bytes[index...].starts(with: [0xC2, 0x85]): width = 2
            case 0xE2 where bytes[index...].starts(with: [0xE2, 0x80, 0xA8]): width = 3
            case 0xE2 where bytes[index...].starts(with: [0xE2, 0x80, 0xA9]): width = 3
            default: break
            }
            if bytes[index] > 127, width > 0 { isPlain = false }
            index += max(1, width)
            if width > 0 { starts.append(index) }
        }
        self.starts = isPlain ? nil : starts
    }

    func position(_ mark: Mark?) -> SourcePosition {
        let (line, column) = (max(1, mark?.line ?? 1), max(1, mark?.column ?? 1))
        guard let starts else { return SourcePosition(line: line, column: column) }
        guard line <= starts.count else { return text.position(of: text.bytes.count) }
        let bytes = text.bytes
        var offset = starts[line - 1]
        for _ in 1..<column where offset < bytes.count {
            offset += 1
            while offset < bytes.count, bytes[offset] & 0xC0 == 0x80 { offset += 1 }
        }
        return text.position(of: offset)
    }
}
