// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads JSON (RFC 8259) into a tree with places. What is not JSON is refused, even where YAML would take it.
struct JSONReader {
    /// How deep arrays and objects may nest.
    static let maximumDepth = 64

    private let text: SourceText
    /// Whether the TOML library wrote the text; it has an escape and three numbers that JSON does not have.
    private let isFromTOML: Bool
    private var offset = 0
    private var depth = 0

    private init(_ text: SourceText, isFromTOML: Bool) {
        self.text = text
        self.isFromTOML = isFromTOML
    }

    /// Reads the whole text as one value.
    static func read(_ text: SourceText, isFromTOML: Bool = false) throws(SyntaxFault) -> ConfigurationNode {
        var reader = JSONReader(text, isFromTOML: isFromTOML)
        reader.skipSpace()
        let node = try reader.value()
        reader.skipSpace()
        guard reader.offset == text.bytes.count else {
            throw reader.fault(Text("there is something after the end of the JSON", zh: "JSON 结束之后还有内容"))
        }
        return node
    }

    private var byte: UInt8? { offset < text.bytes.count ? text.bytes[offset] : nil }

    private mutating func value() throws(SyntaxFault) -> ConfigurationNode {
        let position = text.position(of: offset)
        switch byte {
        case UInt8(ascii: "{"): return ConfigurationNode(.table(try object()), at: position)
        case UInt8(ascii: "["): return ConfigurationNode(.array(try array()), at: position)
        case UInt8(ascii: "\""): return ConfigurationNode(.string(try string()), at: position)
        case UInt8(ascii: "t"): return ConfigurationNode(try word("true", .boolean(true)), at: position)
        case UInt8(ascii: "f"):
            return ConfigurationNode(try word("false", .boolean(false)), at: position)
        case UInt8(ascii: "n"): return ConfigurationNode(try word("null", .null), at: position)
        case UInt8(ascii: "I") where isFromTOML:
            return ConfigurationNode(try word("Infinity", .number(.infinity)), at: position)
        case UInt8(ascii: "N") where isFromTOML:
            return ConfigurationNode(try word("NaN", .number(.nan)), at: position)
        case UInt8(ascii: "-") where isFromTOML && text.bytes[offset...].starts(with: "-Infinity".utf8):
            return ConfigurationNode(try word("-Infinity", .number(-.infinity)), at: position)
        case .some(let digit) where digit == UInt8(ascii: "-") || (48...57).contains(digit):
            return ConfigurationNode(try number(), at: position)
        case UInt8(ascii: "'"):
            throw fault(Text("JSON text stands in double quotes", zh: "JSON 的文本用双引号"))
        case UInt8(ascii: "/"), UInt8(ascii: "#"):
            throw fault(
                Text("JSON has no comments", zh: "JSON 没有注释"),
                hint: Text("write the file as TOML or YAML to keep notes in it", zh: "需要注释请改用 TOML 或 YAML")
            )
        case nil: throw fault(Text("the JSON ends too early", zh: "JSON 提前结束"))
        default: throw fault(Text("a JSON value was expected here", zh: "这里应是一个 JSON 值"))
        }
    }

    private mutating func object() throws(SyntaxFault) -> ConfigurationTable {
        try enter()
        defer { depth -= 1 }
        var table = ConfigurationTable()
        var seen: Set<String> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return table }
        while true {
            let keyPosition = text.position(of: offset)
            guard byte == UInt8(ascii: "\"") else {
                if byte == UInt8(ascii: "}") {
                    throw fault(Text("a comma stands before the closing brace", zh: "右花括号前多了逗号"))
                }
                throw fault(
                    byte == nil
                        ? Text("the JSON ends too early", zh: "JSON 提前结束")
                        : Text("a key in double quotes was expected here", zh: "这里应是双引号括起的键")
                )
            }
            let key = try string()
            guard seen.insert(key).inserted else {
                throw SyntaxFault(
                    at: keyPosition,
                    Text(
                        "the key \"\(SourceText.printable(key))\" is there twice",
                        zh: "键 \"\(SourceText.printable(key))\" 重复"
                    )
                )
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else {
                throw fault(Text("a colon was expected after the key", zh: "键后应有冒号"))
            }
            skipSpace()
            table.entries.append(.init(key: key, keyPosition: keyPosition, node: try value()))
            skipSpace()
            if take(UInt8(ascii: "}")) { return table }
            guard take(UInt8(ascii: ",")) else {
                throw fault(Text("a comma or a closing brace was expected here", zh: "这里应是逗号或右花括号"))
            }
            skipSpace()
        }
    }

    private mutating func array() throws(SyntaxFault) -> [ConfigurationNode] {
        try enter()
        defer { depth -= 1 }
        var elements: [ConfigurationNode] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            if byte == UInt8(ascii: "]") {
                throw fault(Text("a comma stands before the closing bracket", zh: "右方括号前多了逗号"))
            }
            elements.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return elements }
            guard take(UInt8(ascii: ",")) else {
                throw fault(Text("a comma or a closing bracket was expected here", zh: "这里应是逗号或右方括号"))
            }
            skipSpace()
        }
    }

    private mutating func enter() throws(SyntaxFault) {
        guard depth < Self.maximumDepth else { throw tooDeep(at: text.position(of: offset)) }
        depth += 1
        offset += 1
    }

    private mutating func string() throws(SyntaxFault) -> String {
        let start = offset
        offset += 1
        var content: [UInt8] = []
        while let byte {
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"):
                try escape(into: &content)
            case 0..<32:
                throw fault(
                    byte == UInt8(ascii: "\n")
                        ? Text("the closing quote is missing on this line", zh: "本行缺少右引号")
                        : Text("a control character stands in the text", zh: "文本中有控制字符")
                )
            default:
                content.append(byte)
                offset += 1
            }
        }
        throw SyntaxFault(
            at: text.position(of: start),
            Text("the closing quote of this text is missing", zh: "文本缺少右引号")
        )
    }

    private mutating func escape(into content: inout [UInt8]) throws(SyntaxFault) {
        let start = offset
        offset += 1
        guard let byte else { throw fault(Text("the JSON ends too early", zh: "JSON 提前结束")) }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(8)
        case UInt8(ascii: "f"): content.append(12)
        case UInt8(ascii: "n"): content.append(10)
        case UInt8(ascii: "r"): content.append(13)
        case UInt8(ascii: "t"): content.append(9)
        case UInt8(ascii: "U") where isFromTOML:
            guard let high = hexadecimal(), let low = hexadecimal(), let scalar = Unicode.Scalar(high << 16 | low)
            else { throw badEscape(start) }
            content.append(contentsOf: Array(String(Character(scalar)).utf8))
        case UInt8(ascii: "u"):
            guard var code = hexadecimal() else { throw badEscape(start) }
            if (0xD800..<0xDC00).contains(code) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let low = hexadecimal(),
                    (0xDC00..<0xE000).contains(low)
                else { throw badEscape(start) }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard code != 0, let scalar = Unicode.Scalar(code) else { throw badEscape(start) }
            content.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw badEscape(start)
        }
    }

    private func badEscape(_ offset: Int) -> SyntaxFault {
        SyntaxFault(
            at: text.position(of: offset),
            Text("this escape is not one of JSON's", zh: "不是合法的 JSON 转义")
        )
    }

    private mutating func hexadecimal() -> UInt32? {
        guard offset + 4 <= text.bytes.count else { return nil }
        var code: UInt32 = 0
        for byte in text.bytes[offset..<offset + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 128 else {
                return nil
            }
            code = code << 4 | UInt32(digit)
        }
        offset += 4
        return code
    }

    private mutating func number() throws(SyntaxFault) -> ConfigurationNode.Value {
        let start = offset
        _ = take(UInt8(ascii: "-"))
        let whole = digits()
        guard whole > 0, whole == 1 || text.bytes[offset - whole] != UInt8(ascii: "0") else {
            throw SyntaxFault(
                at: text.position(of: start),
                Text("this is not a JSON number", zh: "不是合法的 JSON 数字")
            )
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard digits() > 0 else {
                throw fault(Text("digits were expected after the point", zh: "小数点后应有数字"))
            }
        }
        if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
            isInteger = false
            offset += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { offset += 1 }
            guard digits() > 0 else {
                throw fault(Text("digits were expected in the exponent", zh: "指数应有数字"))
            }
        }
        let written = String(decoding: text.bytes[start..<offset], as: UTF8.self)
        if isInteger, let integer = Int64(written) { return .integer(integer) }
        guard let number = Double(written) else {
            throw SyntaxFault(
                at: text.position(of: start),
                Text("this is not a JSON number", zh: "不是合法的 JSON 数字")
            )
        }
        return .number(number)
    }

    private mutating func digits() -> Int {
        let start = offset
        while let byte, (48...57).contains(byte) { offset += 1 }
        return offset - start
    }

    private mutating func word(
        _ word: String,
        _ value: ConfigurationNode.Value
    ) throws(SyntaxFault) -> ConfigurationNode.Value {
        guard text.bytes[offset...].starts(with: word.utf8) else {
            throw fault(Text("a JSON value was expected here", zh: "这里应是一个 JSON 值"))
        }
        offset += word.utf8.count
        return value
    }

    private mutating func take(_ wanted: UInt8) -> Bool {
        guard byte == wanted else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte, byte == 32 || byte == 9 || byte == 10 || byte == 13 { offset += 1 }
    }

    private func fault(_ what: Text, hint: Text? = nil) -> SyntaxFault {
        SyntaxFault(at: text.position(of: offset), what, hint: hint)
    }
}

/// The fault of values that nest deeper than any configuration does.
func tooDeep(at position: SourcePosition) -> SyntaxFault {
    SyntaxFault(
        at: position,
        Text(
            "values nest more than \(JSONReader.maximumDepth) levels deep",
            zh: "嵌套超过 \(JSONReader.maximumDepth) 层"
        )
    )
}
