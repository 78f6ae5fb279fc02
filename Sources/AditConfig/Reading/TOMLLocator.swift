// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Finds where the keys and values of a TOML text stand; what the values are is left to the TOML library.
///
/// It walks the text by the grammar of TOML 1.0 and refuses what has another shape: the library trusts the shape of
/// some texts too far, follows nesting without a bound, and cannot say where a value stands.
struct TOMLLocator {
    /// A key or value with its place, and what it holds.
    final class Located {
        enum Content {
            /// A table made by a header or by a dotted key.
            case table
            case inlineTable
            /// A list made by `[[ ]]`.
            case tables
            case array
            case quoted
            case bare
        }

        let position: SourcePosition
        let content: Content
        /// Whether a header has named this very table.
        var hasHeader = false
        private(set) var keys: [(key: String, position: SourcePosition, value: Located)] = []
        var elements: [Located] = []
        private var index: [String: Int] = [:]

        init(_ content: Content, at position: SourcePosition) {
            self.content = content
            self.position = position
        }

        subscript(key: String) -> Located? { index[key].map { keys[$0].value } }

        func add(_ key: String, at position: SourcePosition, _ value: Located) {
            index[key] = keys.count
            keys.append((key, position, value))
        }
    }

    private typealias Key = (text: String, position: SourcePosition)

    private let text: SourceText
    private var offset = 0
    private let root = Located(.table, at: .start)
    private var scope: Located

    private init(_ text: SourceText) {
        self.text = text
        scope = root
    }

    /// The places in the text.
    static func locate(_ text: SourceText) throws(SyntaxFault) -> Located {
        var locator = TOMLLocator(text)
        try locator.document()
        return locator.root
    }

    private var byte: UInt8? { offset < text.bytes.count ? text.bytes[offset] : nil }

    private mutating func document() throws(SyntaxFault) {
        while true {
            try skipBlank()
            guard let byte else { return }
            if byte == UInt8(ascii: "[") {
                try header()
            } else {
                try pair(in: scope, depth: 0)
            }
            skipSpace()
            if self.byte == UInt8(ascii: "#") { try skipComment() }
            guard self.byte == nil || takeLineEnd() else {
                throw fault(
                    Text("something stands behind the value", zh: "值之后还有内容"),
                    hint: Text(
                        "each key has a line of its own, and text stands in double quotes",
                        zh: "每个键独占一行,文本用双引号括起来"
                    )
                )
            }
        }
    }

    private mutating func header() throws(SyntaxFault) {
        offset += 1
        let isArray = take(UInt8(ascii: "["))
        let path = try key()
        guard take(UInt8(ascii: "]")), !isArray || take(UInt8(ascii: "]")) else {
            throw fault(Text("the closing bracket is missing", zh: "缺少右方括号"))
        }
        let last = path[path.count - 1]
        try checkDepth(path.count, at: path[0].position)
        let parent = try descend(from: root, path.dropLast(), isHeader: true)
        let existing = parent[last.text]
        if isArray {
            let list = existing ?? Located(.tables, at: last.position)
            guard list.content == .tables else { throw twice(last, existing) }
            if existing == nil { parent.add(last.text, at: last.position, list) }
            scope = Located(.table, at: last.position)
            list.elements.append(scope)
        } else {
            let table = existing ?? Located(.table, at: last.position)
            guard table.content == .table, !table.hasHeader else { throw twice(last, existing) }
            if existing == nil { parent.add(last.text, at: last.position, table) }
            table.hasHeader = true
            scope = table
        }
    }

    private mutating func pair(in table: Located, depth: Int) throws(SyntaxFault) {
        let path = try key()
        let last = path[path.count - 1]
        guard take(UInt8(ascii: "=")) else {
            throw fault(
                Text("an equals sign was expected behind the key", zh: "键之后应有等号"),
                hint: byte == UInt8(ascii: ":") ? Text("TOML writes key = value", zh: "TOML 的写法是 key = value") : nil
            )
        }
        try checkDepth(depth + path.count, at: path[0].position)
        skipSpace()
        let parent = try descend(from: table, path.dropLast(), isHeader: false)
        if let existing = parent[last.text] { throw twice(last, existing) }
        parent.add(last.text, at: last.position, try value(depth: depth + path.count))
    }

    private func descend(
        from table: Located,
        _ path: some Sequence<Key>,
        isHeader: Bool
    ) throws(SyntaxFault) -> Located {
        var table = table
        for key in path {
            guard let next = table[key.text] else {
                let next = Located(.table, at: key.position)
                table.add(key.text, at: key.position, next)
                table = next
                continue
            }
            switch next.content {
            case .table: table = next
            case .tables where isHeader: table = next.elements.last ?? next
            default: throw twice(key, next)
            }
        }
        return table
    }

    private func twice(_ key: Key, _ existing: Located?) -> SyntaxFault {
        let name = SourceText.printable(key.text)
        let line = existing?.position.line ?? 1
        return SyntaxFault(
            at: key.position,
            Text("\"\(name)\" is there already, in line \(line)", zh: "\"\(name)\" 已在第 \(line) 行定义")
        )
    }

    /// A key with its dots; leaves the offset behind the space that follows it.
    private mutating func key() throws(SyntaxFault) -> [Key] {
        var path: [Key] = []
        while true {
            skipSpace()
            let position = text.position(of: offset)
            path.append((try keyPart(), position))
            skipSpace()
            if !take(UInt8(ascii: ".")) { return path }
            try checkDepth(path.count, at: path[0].position)
        }
    }

    private mutating func keyPart() throws(SyntaxFault) -> String {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return try string(isKey: true) }
        let start = offset
        while let byte, isBareKey(byte) { offset += 1 }
        guard start < offset else {
            throw fault(
                Text("a key was expected here", zh: "这里应是键"),
                hint: byte.map { $0 >= 128 } == true
                    ? Text("keys beyond ASCII stand in quotes", zh: "非 ASCII 的键要加引号") : nil
            )
        }
        return String(decoding: text.bytes[start..<offset], as: UTF8.self)
    }

    private mutating func value(depth: Int) throws(SyntaxFault) -> Located {
        let position = text.position(of: offset)
        try checkDepth(depth, at: position)
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            _ = try string(isKey: false)
            return Located(.quoted, at: position)
        case UInt8(ascii: "["):
            return try array(at: position, depth: depth + 1)
        case UInt8(ascii: "{"):
            return try inlineTable(at: position, depth: depth + 1)
        default:
            try bare(at: position)
            return Located(.bare, at: position)
        }
    }

    /// A number, date or truth value; anything else is most likely text that misses its quotes.
    private mutating func bare(at position: SourcePosition) throws(SyntaxFault) {
        let start = offset
        while let byte, !isEndOfBare(byte) { offset += 1 }
        var end = offset
        while end > start, text.bytes[end - 1] == 32 || text.bytes[end - 1] == 9 { end -= 1 }
        let written = String(decoding: text.bytes[start..<end], as: UTF8.self)
        guard !written.isEmpty else {
            throw SyntaxFault(at: position, Text("a value was expected here", zh: "这里应是一个值"))
        }
        let unsigned = written.drop { $0 == "+" || $0 == "-" }
        let isWord = ["true", "false", "inf", "nan"].contains(unsigned)
        guard isWord || unsigned.utf8.first.map({ (48...57).contains($0) }) == true,
            written.utf8.allSatisfy({ isBareKey($0) || "+.: ".utf8.contains($0) })
        else {
            throw SyntaxFault(
                at: position,
                Text(
                    "\"\(SourceText.printable(written))\" is not a value of TOML",
                    zh: "\"\(SourceText.printable(written))\" 不是 TOML 的值"
                ),
                hint: ["true", "false"].contains(unsigned.lowercased())
                    ? Text("true and false are lower case", zh: "true 和 false 用小写")
                    : Text("put text in double quotes", zh: "文本请用双引号括起来")
            )
        }
    }

    private mutating func array(at position: SourcePosition, depth: Int) throws(SyntaxFault) -> Located {
        let array = Located(.array, at: position)
        offset += 1
        while true {
            try skipBlank()
            if take(UInt8(ascii: "]")) { return array }
            array.elements.append(try value(depth: depth))
            try skipBlank()
            if take(UInt8(ascii: "]")) { return array }
            guard take(UInt8(ascii: ",")) else {
                throw fault(Text("a comma or a closing bracket was expected here", zh: "这里应是逗号或右方括号"))
            }
        }
    }

    private mutating func inlineTable(at position: SourcePosition, depth: Int) throws(SyntaxFault) -> Located {
        let table = Located(.inlineTable, at: position)
        offset += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return table }
        while true {
            skipSpace()
            try pair(in: table, depth: depth)
            skipSpace()
            if take(UInt8(ascii: "}")) { return table }
            guard take(UInt8(ascii: ",")) else {
                throw fault(
                    Text("a comma or a closing brace was expected here", zh: "这里应是逗号或右花括号"),
                    hint: Text("a table in braces stands on one line", zh: "花括号表要写在一行内")
                )
            }
        }
    }

    private func checkDepth(_ depth: Int, at position: SourcePosition) throws(SyntaxFault) {
        if depth > JSONReader.maximumDepth { throw tooDeep(at: position) }
    }

    /// A string of any of the four kinds, decoded when it is a key.
    private mutating func string(isKey: Bool) throws(SyntaxFault) -> String {
        let start = offset
        guard let quote = byte else { return "" }
        let isBasic = quote == UInt8(ascii: "\"")
        if text.bytes[offset...].starts(with: [quote, quote, quote]) {
            guard !isKey else {
                throw fault(Text("a key stands on one line", zh: "键必须写在一行内"))
            }
            offset += 3
            while let byte {
                if isBasic, byte == UInt8(ascii: "\\") {
                    offset += 2
                } else if byte == quote, text.bytes[offset...].starts(with: [quote, quote, quote]) {
                    offset += 3
                    // Up to two quotes may stand right before the closing three.
                    for _ in 0..<2 where self.byte == quote { offset += 1 }
                    return ""
                } else {
                    try checkControl(byte, mayBreakLine: true)
                    offset += 1
                }
            }
            throw unclosed(start)
        }
        offset += 1
        var content: [UInt8] = []
        while let byte, byte != 10 {
            if byte == quote {
                offset += 1
                return String(decoding: content, as: UTF8.self)
            }
            if isBasic, byte == UInt8(ascii: "\\") {
                try escape(into: &content)
            } else {
                try checkControl(byte, mayBreakLine: false)
                content.append(byte)
                offset += 1
            }
        }
        throw unclosed(start)
    }

    private func checkControl(_ byte: UInt8, mayBreakLine: Bool) throws(SyntaxFault) {
        guard byte < 32 || byte == 127, byte != 9 else { return }
        if byte == 10, mayBreakLine { return }
        if byte == 13, offset + 1 < text.bytes.count, text.bytes[offset + 1] == 10 { return }
        throw fault(Text("a control character stands here", zh: "这里有控制字符"))
    }

    private func unclosed(_ start: Int) -> SyntaxFault {
        SyntaxFault(
            at: text.position(of: start),
            Text("the closing quote of this text is missing", zh: "文本缺少右引号")
        )
    }

    private mutating func escape(into content: inout [UInt8]) throws(SyntaxFault) {
        let start = offset
        let letter = offset + 1 < text.bytes.count ? text.bytes[offset + 1] : 0
        offset += 2
        let simple: [UInt8: UInt8] = [
            UInt8(ascii: "b"): 8, UInt8(ascii: "t"): 9, UInt8(ascii: "n"): 10, UInt8(ascii: "f"): 12,
            UInt8(ascii: "r"): 13, UInt8(ascii: "\""): 34, UInt8(ascii: "\\"): 92,
        ]
        if let byte = simple[letter] {
            content.append(byte)
            return
        }
        let width = letter == UInt8(ascii: "u") ? 4 : letter == UInt8(ascii: "U") ? 8 : 0
        guard width > 0, offset + width <= text.bytes.count,
            text.bytes[offset..<offset + width].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let code = UInt32(String(decoding: text.bytes[offset..<offset + width], as: UTF8.self), radix: 16),
            let scalar = Unicode.Scalar(code)
        else {
            throw SyntaxFault(
                at: text.position(of: start),
                Text("this escape is not one of TOML's", zh: "不是合法的 TOML 转义"),
                hint: Text("text in single quotes takes a backslash as it is", zh: "单引号中的反斜杠不转义")
            )
        }
        offset += width
        content.append(contentsOf: Array(String(Character(scalar)).utf8))
    }

    private func fault(_ what: Text, hint: Text? = nil) -> SyntaxFault {
        SyntaxFault(at: text.position(of: offset), what, hint: hint)
    }

    private func isBareKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private func isEndOfBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "#"), 10, 13: true
        default: false
        }
    }

    private mutating func take(_ wanted: UInt8) -> Bool {
        guard byte == wanted else { return false }
        offset += 1
        return true
    }

    private mutating func takeLineEnd() -> Bool {
        if take(10) { return true }
        guard byte == 13, offset + 1 < text.bytes.count, text.bytes[offset + 1] == 10 else {
            return false
        }
        offset += 2
        return true
    }

    private mutating func skipSpace() {
        while byte == 32 || byte == 9 { offset += 1 }
    }

    private mutating func skipComment() throws(SyntaxFault) {
        while let byte, byte != 10 {
            try checkControl(byte, mayBreakLine: false)
            offset += 1
        }
    }

    private mutating func skipBlank() throws(SyntaxFault) {
        while true {
            skipSpace()
            if byte == UInt8(ascii: "#") {
                try skipComment()
            } else if !takeLineEnd() {
                return
            }
        }
    }
}
