// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Finds where the keys and values of a TOML text stand; what they mean is left to the TOML library.
///
/// It walks the text by the grammar of TOML 1.0 and stops without a complaint at what it does not understand, since
/// the library then has the complaint. It does refuse nesting that the library would follow without a bound.
struct TOMLLocator {
    /// A key or value with its place, and what it holds.
    final class Located {
        enum Content {
            /// A table: its keys in the order of the text.
            case table
            case array
            case quoted
            case bare
        }

        let position: SourcePosition
        var content: Content
        var keys: [(key: String, position: SourcePosition, value: Located)] = []
        var elements: [Located] = []
        private var index: [String: Int] = [:]

        init(_ content: Content, at position: SourcePosition) {
            self.content = content
            self.position = position
        }

        subscript(key: String) -> Located? { index[key].map { keys[$0].value } }

        func add(_ key: String, at position: SourcePosition, _ value: Located) {
            guard index[key] == nil else { return }
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

    /// The places in the text, and whether all of the text was understood; else where that ended.
    static func locate(_ text: SourceText) throws(SyntaxFault) -> (
        root: Located, stoppedAt: SourcePosition?
    ) {
        var locator = TOMLLocator(text)
        let isComplete = try locator.document()
        return (locator.root, isComplete ? nil : text.position(of: locator.offset))
    }

    private var byte: UInt8? { offset < text.bytes.count ? text.bytes[offset] : nil }

    private mutating func document() throws(SyntaxFault) -> Bool {
        while true {
            skipBlank()
            guard let byte else { return true }
            if byte == UInt8(ascii: "[") {
                guard try header() else { return false }
            } else {
                guard try pair(in: scope, depth: 0) else { return false }
            }
            skipSpace()
            if self.byte == UInt8(ascii: "#") { skipComment() }
            guard self.byte == nil || takeLineEnd() else { return false }
        }
    }

    private mutating func header() throws(SyntaxFault) -> Bool {
        offset += 1
        let isArray = take(UInt8(ascii: "["))
        guard let path = key(), let last = path.last else { return false }
        guard take(UInt8(ascii: "]")), !isArray || take(UInt8(ascii: "]")) else { return false }
        try checkDepth(path.count, at: path[0].position)
        let parent = descend(from: root, path.dropLast())
        if isArray {
            let list: Located
            if let existing = parent[last.text] {
                list = existing
            } else {
                list = Located(.array, at: last.position)
                parent.add(last.text, at: last.position, list)
            }
            scope = Located(.table, at: last.position)
            list.elements.append(scope)
        } else {
            scope = descend(from: parent, [last])
        }
        return true
    }

    private mutating func pair(in table: Located, depth: Int) throws(SyntaxFault) -> Bool {
        guard let path = key(), let last = path.last, take(UInt8(ascii: "=")) else { return false }
        try checkDepth(depth + path.count, at: path[0].position)
        skipSpace()
        let parent = descend(from: table, path.dropLast())
        guard let value = try value(depth: depth + path.count) else { return false }
        parent.add(last.text, at: last.position, value)
        return true
    }

    private func descend(from table: Located, _ path: some Sequence<Key>) -> Located {
        var table = table
        for key in path {
            if let next = table[key.text] {
                table = next.elements.last ?? next
            } else {
                let next = Located(.table, at: key.position)
                table.add(key.text, at: key.position, next)
                table = next
            }
        }
        return table
    }

    /// A key with its dots; leaves the offset behind the space that follows it.
    private mutating func key() -> [Key]? {
        var path: [Key] = []
        while true {
            skipSpace()
            let position = text.position(of: offset)
            guard let part = keyPart() else { return nil }
            path.append((part, position))
            skipSpace()
            if !take(UInt8(ascii: ".")) { return path }
            // A deeper path is refused by the caller; it need not be read to its end.
            if path.count > JSONReader.maximumDepth { return path }
        }
    }

    private mutating func keyPart() -> String? {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return string(isKey: true) }
        let start = offset
        while let byte, isBareKey(byte) { offset += 1 }
        return start == offset ? nil : String(decoding: text.bytes[start..<offset], as: UTF8.self)
    }

    private mutating func value(depth: Int) throws(SyntaxFault) -> Located? {
        let position = text.position(of: offset)
        try checkDepth(depth, at: position)
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            return string(isKey: false) == nil ? nil : Located(.quoted, at: position)
        case UInt8(ascii: "["):
            return try array(at: position, depth: depth + 1)
        case UInt8(ascii: "{"):
            return try inlineTable(at: position, depth: depth + 1)
        default:
            let start = offset
            while let byte, !isEndOfBare(byte) { offset += 1 }
            return start == offset ? nil : Located(.bare, at: position)
        }
    }

    private mutating func array(at position: SourcePosition, depth: Int) throws(SyntaxFault)
        -> Located?
    {
        let array = Located(.array, at: position)
        offset += 1
        while true {
            skipBlank()
            if take(UInt8(ascii: "]")) { return array }
            guard let element = try value(depth: depth) else { return nil }
            array.elements.append(element)
            skipBlank()
            if take(UInt8(ascii: "]")) { return array }
            guard take(UInt8(ascii: ",")) else { return nil }
        }
    }

    private mutating func inlineTable(at position: SourcePosition, depth: Int) throws(SyntaxFault)
        -> Located?
    {
        let table = Located(.table, at: position)
        offset += 1
        while true {
            skipBlank()
            if take(UInt8(ascii: "}")) { return table }
            guard try pair(in: table, depth: depth) else { return nil }
            skipBlank()
            if take(UInt8(ascii: "}")) { return table }
            guard take(UInt8(ascii: ",")) else { return nil }
        }
    }

    private func checkDepth(_ depth: Int, at position: SourcePosition) throws(SyntaxFault) {
        if depth > JSONReader.maximumDepth { throw tooDeep(at: position) }
    }

    /// A string of any of the four kinds; nil when it does not end.
    private mutating func string(isKey: Bool) -> String? {
        guard let quote = byte else { return nil }
        let isBasic = quote == UInt8(ascii: "\"")
        if !isKey, text.bytes[offset...].starts(with: [quote, quote, quote]) {
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
                    offset += 1
                }
            }
            return nil
        }
        offset += 1
        var content: [UInt8] = []
        while let byte, byte != UInt8(ascii: "\n") {
            if byte == quote {
                offset += 1
                return String(decoding: content, as: UTF8.self)
            }
            if isBasic, byte == UInt8(ascii: "\\") {
                guard escape(into: &content) else { return nil }
            } else {
                content.append(byte)
                offset += 1
            }
        }
        return nil
    }

    private mutating func escape(into content: inout [UInt8]) -> Bool {
        guard offset + 1 < text.bytes.count else { return false }
        let letter = text.bytes[offset + 1]
        offset += 2
        let simple: [UInt8: UInt8] = [
            UInt8(ascii: "b"): 8, UInt8(ascii: "t"): 9, UInt8(ascii: "n"): 10, UInt8(ascii: "f"): 12,
            UInt8(ascii: "r"): 13, UInt8(ascii: "e"): 27, UInt8(ascii: "\""): 34, UInt8(ascii: "\\"): 92,
        ]
        if let byte = simple[letter] {
            content.append(byte)
            return true
        }
        let width = letter == UInt8(ascii: "u") ? 4 : letter == UInt8(ascii: "U") ? 8 : 0
        guard width > 0, offset + width <= text.bytes.count,
            let code = UInt32(
                String(decoding: text.bytes[offset..<offset + width], as: UTF8.self),
                radix: 16
            ),
            let scalar = Unicode.Scalar(code)
        else { return false }
        offset += width
        content.append(contentsOf: Array(String(Character(scalar)).utf8))
        return true
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

    private mutating func skipComment() {
        while let byte, byte != 10 { offset += 1 }
    }

    private mutating func skipBlank() {
        while true {
            skipSpace()
            if byte == UInt8(ascii: "#") {
                skipComment()
            } else if byte == 10 || byte == 13 {
                offset += 1
            } else {
                return
            }
        }
    }
}
