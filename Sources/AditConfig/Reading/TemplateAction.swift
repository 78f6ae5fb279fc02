// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// One `{{ … }}` of a template.
struct TemplateAction {
    /// The place of the two opening braces.
    let start: Int
    /// Behind the two closing braces.
    let end: Int
    let trimsLeft: Bool
    let trimsRight: Bool
    let kind: Kind

    enum Kind {
        case comment
        case output(Operand)
        /// `range`, with none, one or two variables.
        case loop([String], List)
        case end
    }

    enum List {
        case numbers(Operand)
        case pairs(Operand, Operand)
    }

    enum Operand {
        case literal(String)
        case environment(String, isRooted: Bool)
        /// A variable with its dollar, or the dot as an empty name.
        case variable(String, Field?)
    }

    enum Field: String {
        case first = "First"
        case second = "Second"
    }

    /// Reads the action whose braces open at `start`.
    init(in source: SourceText, at start: Int) throws(SyntaxFault) {
        let bytes = source.bytes
        self.start = start
        let position = source.position(of: start)
        var inner = start + 2
        trimsLeft =
            inner + 1 < bytes.count && bytes[inner] == UInt8(ascii: "-") && Self.isSpace(bytes[inner + 1])
        if trimsLeft { inner += 1 }
        var comment = inner
        while comment < bytes.count, Self.isSpace(bytes[comment]) { comment += 1 }
        if bytes[comment...].starts(with: "/*".utf8) {
            guard let close = bytes.firstRange(of: "*/", from: comment + 2),
                let end = bytes.firstRange(of: "}}", from: close + 2)
            else { throw Self.unclosed(position) }
            self.end = end + 2
            let rest = bytes[close + 2..<end]
            trimsRight = rest.last == UInt8(ascii: "-")
            kind = .comment
            return
        }
        guard let close = Self.close(bytes, from: inner) else { throw Self.unclosed(position) }
        end = close + 2
        var innerEnd = close
        trimsRight =
            innerEnd - 2 >= inner && bytes[innerEnd - 1] == UInt8(ascii: "-")
            && Self.isSpace(bytes[innerEnd - 2])
        if trimsRight { innerEnd -= 1 }
        kind = try Self.parse(try Self.words(bytes[inner..<innerEnd], position), position)
    }

    /// The closing braces, not those inside quotes.
    private static func close(_ bytes: [UInt8], from start: Int) -> Int? {
        var index = start
        var quote: UInt8?
        while index < bytes.count {
            let byte = bytes[index]
            if let open = quote {
                if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "\"") {
                    index += 1
                } else if byte == open {
                    quote = nil
                } else if byte == 10, open == UInt8(ascii: "\"") {
                    return nil
                }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "`") {
                quote = byte
            } else if byte == UInt8(ascii: "}"), index + 1 < bytes.count,
                bytes[index + 1] == UInt8(ascii: "}")
            {
                return index
            }
            index += 1
        }
        return nil
    }

    private enum Word: Equatable {
        case word(String)
        case text(String)
    }

    private static func words(_ bytes: ArraySlice<UInt8>, _ position: SourcePosition)
        throws(SyntaxFault) -> [Word]
    {
        var words: [Word] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            if isSpace(byte) {
                index += 1
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "`") {
                var content: [UInt8] = []
                index += 1
                while index < bytes.endIndex, bytes[index] != byte {
                    if byte == UInt8(ascii: "\""), bytes[index] == UInt8(ascii: "\\"),
                        index + 1 < bytes.endIndex
                    {
                        index += 1
                        switch bytes[index] {
                        case UInt8(ascii: "n"): content.append(10)
                        case UInt8(ascii: "t"): content.append(9)
                        case UInt8(ascii: "\\"), UInt8(ascii: "\""): content.append(bytes[index])
                        default: throw unsupported(String(decoding: bytes, as: UTF8.self), position)
                        }
                    } else {
                        content.append(bytes[index])
                    }
                    index += 1
                }
                index += 1
                words.append(.text(String(decoding: content, as: UTF8.self)))
            } else if byte == UInt8(ascii: ",") {
                words.append(.word(","))
                index += 1
            } else if bytes[index...].starts(with: ":=".utf8) {
                words.append(.word(":="))
                index += 2
            } else {
                let start = index
                while index < bytes.endIndex, !isSpace(bytes[index]), bytes[index] != UInt8(ascii: ","),
                    bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "`"),
                    !bytes[index...].starts(with: ":=".utf8)
                {
                    index += 1
                }
                words.append(.word(String(decoding: bytes[start..<index], as: UTF8.self)))
            }
        }
        return words
    }

    private static func parse(_ words: [Word], _ position: SourcePosition) throws(SyntaxFault) -> Kind {
        let shown = words.map { word in
            switch word {
            case .word(let text): text
            case .text(let text): "\"\(text)\""
            }
        }.joined(separator: " ")
        if words == [.word("end")] { return .end }
        if words.first == .word("range") {
            var rest = words.dropFirst()
            var names: [String] = []
            if let assign = rest.firstIndex(of: .word(":=")) {
                for (index, word) in rest[..<assign].enumerated() {
                    guard case .word(let text) = word, index % 2 == 1 ? text == "," : isVariable(text) else {
                        throw unsupported(shown, position)
                    }
                    if index % 2 == 0 { names.append(text) }
                }
                guard (1...2).contains(names.count), assign - rest.startIndex == names.count * 2 - 1 else {
                    throw unsupported(shown, position)
                }
                rest = rest[(assign + 1)...]
            }
            let operands = rest.dropFirst().compactMap(operand)
            guard operands.count == rest.count - 1 else { throw unsupported(shown, position) }
            if rest.first == .word("parseNumberRange"), operands.count == 1 {
                return .loop(names, .numbers(operands[0]))
            }
            if rest.first == .word("parseNumberRangePair"), operands.count == 2 {
                return .loop(names, .pairs(operands[0], operands[1]))
            }
            throw unsupported(shown, position)
        }
        guard words.count == 1, let operand = operand(words[0]) else {
            throw unsupported(shown, position)
        }
        return .output(operand)
    }

    private static func operand(_ word: Word) -> Operand? {
        guard case .word(let text) = word else {
            if case .text(let text) = word { return .literal(text) }
            return nil
        }
        for (prefix, isRooted) in [(".Envs.", false), ("$.Envs.", true)] where text.hasPrefix(prefix) {
            let name = text.dropFirst(prefix.count)
            return isName(name) ? .environment(String(name), isRooted: isRooted) : nil
        }
        if text == "." { return .variable("", nil) }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts[0].isEmpty || isVariable(String(parts[0])) else { return nil }
        if parts.count == 1 { return .variable(text, nil) }
        return Field(rawValue: String(parts[1])).map { .variable(String(parts[0]), $0) }
    }

    private static func isVariable(_ text: String) -> Bool {
        text.hasPrefix("$") && isName(text.dropFirst())
    }

    private static func isName(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                    || $0 == UInt8(ascii: "_")
            }
    }

    private static func unsupported(_ shown: String, _ position: SourcePosition) -> SyntaxFault {
        let shown = SourceText.printable(shown)
        return SyntaxFault(
            at: position,
            Text("the template action {{ \(shown) }} is not known", zh: "不支持的模板动作 {{ \(shown) }}"),
            hint: Text(
                "known are {{ .Envs.NAME }} and range over parseNumberRange or parseNumberRangePair",
                zh: "支持 {{ .Envs.NAME }} 以及对 parseNumberRange、parseNumberRangePair 的 range"
            )
        )
    }

    private static func unclosed(_ position: SourcePosition) -> SyntaxFault {
        SyntaxFault(at: position, Text("this template action is not closed by }}", zh: "模板动作没有用 }} 结束"))
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 32 || byte == 9 || byte == 10 || byte == 13
    }
}
