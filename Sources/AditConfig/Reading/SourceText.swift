// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// The text of a configuration file, checked, with its lines.
struct SourceText: Sendable {
    /// The largest file that is read, in bytes.
    static let maximumSize = 1 << 20

    /// The text in UTF-8, without a byte order mark.
    let bytes: [UInt8]
    private let lineStarts: [Int]

    /// Checks the bytes of a file: size, UTF-8, no NUL.
    init(checking bytes: [UInt8]) throws(SyntaxFault) {
        var bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        guard bytes.count <= Self.maximumSize else {
            throw SyntaxFault(
                at: .start,
                Text(
                    "the file has \(bytes.count) bytes; a configuration has at most \(Self.maximumSize)",
                    zh: "文件有 \(bytes.count) 字节;配置文件最多 \(Self.maximumSize) 字节"
                )
            )
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw SyntaxFault(
                at: .start,
                Text("the file is in UTF-16", zh: "文件是 UTF-16 编码"),
                hint: Text("save it as UTF-8", zh: "请另存为 UTF-8")
            )
        }
        self.init(trusted: bytes)
        if let offset = bytes.firstIndex(of: 0) {
            throw SyntaxFault(at: position(of: offset), Text("there is a NUL byte", zh: "有 NUL 字节"))
        }
        if let offset = Self.firstInvalidUTF8(bytes) {
            throw SyntaxFault(
                at: position(of: offset),
                Text("this is not UTF-8", zh: "不是 UTF-8 编码"),
                hint: Text("save the file as UTF-8", zh: "请将文件另存为 UTF-8")
            )
        }
    }

    /// Takes text that is known to be good.
    init(trusted bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            starts.append(offset + 1)
        }
        lineStarts = starts
    }

    /// The whole text.
    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// The place of the byte at `offset`.
    func position(of offset: Int) -> SourcePosition {
        let offset = min(max(offset, 0), bytes.count)
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        // Continuation bytes do not begin a scalar.
        let column = bytes[lineStarts[low]..<offset].count { $0 & 0xC0 != 0x80 }
        return SourcePosition(line: low + 1, column: column + 1)
    }

    /// The byte at which `position` begins; the end of its line when the line is shorter.
    func offset(of position: SourcePosition) -> Int {
        guard position.line >= 1 else { return 0 }
        guard position.line <= lineStarts.count else { return bytes.count }
        var offset = lineStarts[position.line - 1]
        var column = 1
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\n"), column < position.column {
            offset += 1
            while offset < bytes.count, bytes[offset] & 0xC0 == 0x80 { offset += 1 }
            column += 1
        }
        return offset
    }

    /// The line for a person to look at: no line end, no control characters, at most 200 characters.
    func line(_ number: Int) -> String {
        guard number >= 1, number <= lineStarts.count else { return "" }
        let start = lineStarts[number - 1]
        let end = number < lineStarts.count ? lineStarts[number] - 1 : bytes.count
        var text = String(decoding: bytes[start..<end], as: UTF8.self)
        if text.unicodeScalars.count > 200 {
            text = String(String.UnicodeScalarView(text.unicodeScalars.prefix(200))) + "…"
        }
        return Self.printable(text)
    }

    /// The text with control characters taken out, so that it cannot steer a terminal, and cut where nobody reads on.
    static func printable(_ text: String) -> String {
        var shown = String.UnicodeScalarView()
        for (count, scalar) in text.unicodeScalars.enumerated() {
            guard count <= 300 else {
                shown.append("…")
                break
            }
            switch scalar.properties.generalCategory {
            case .control: if scalar == "\t" { shown.append(" ") }
            case .format, .lineSeparator, .paragraphSeparator: continue
            default: shown.append(scalar)
            }
        }
        return String(shown)
    }

    private static func firstInvalidUTF8(_ bytes: [UInt8]) -> Int? {
        var decoder = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var offset = 0
        while true {
            switch decoder.parseScalar(from: &iterator) {
            case .valid(let scalar): offset += scalar.count
            case .error: return offset
            case .emptyInput: return nil
            }
        }
    }
}

/// What makes a text unreadable, at a place in the text that was read.
struct SyntaxFault: Error, Sendable, Equatable {
    var position: SourcePosition
    var what: Text
    var hint: Text?

    init(at position: SourcePosition, _ what: Text, hint: Text? = nil) {
        self.position = position
        self.what = what
        self.hint = hint
    }
}
