// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A text after its templates were expanded, with the way back to where each character was written.
struct ExpandedText: Sendable {
    /// What the format's reader gets.
    let text: SourceText
    private let source: SourceText
    private let segments: [Segment]

    struct Segment: Sendable {
        /// Where the segment begins in the expanded text.
        var start: Int
        /// Where it was written.
        var source: Int
        /// Whether it was copied; else every byte of it comes from one place.
        var isCopy: Bool
    }

    init(source: SourceText, bytes: [UInt8], segments: [Segment]) {
        self.source = source
        self.segments = segments
        text = SourceText(trusted: bytes)
    }

    init(verbatim source: SourceText) {
        self.source = source
        text = source
        segments = []
    }

    /// Where a place of the expanded text was written.
    func sourcePosition(_ position: SourcePosition) -> SourcePosition {
        guard !segments.isEmpty else { return position }
        let offset = text.offset(of: position)
        var low = 0
        var high = segments.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if segments[middle].start <= offset { low = middle } else { high = middle }
        }
        let segment = segments[low]
        return source.position(
            of: segment.isCopy ? segment.source + offset - segment.start : segment.source
        )
    }

    /// The node with every place led back to where it was written.
    func sourceNode(_ node: ConfigurationNode) -> ConfigurationNode {
        guard !segments.isEmpty else { return node }
        var node = node
        node.position = sourcePosition(node.position)
        switch node.value {
        case .array(let elements):
            node.value = .array(elements.map(sourceNode))
        case .table(var table):
            for index in table.entries.indices {
                table.entries[index].keyPosition = sourcePosition(table.entries[index].keyPosition)
                table.entries[index].node = sourceNode(table.entries[index].node)
            }
            node.value = .table(table)
        default: break
        }
        return node
    }
}

/// Expands the part of Go's text/template that frp's users write: environment variables, loops over number ranges,
/// text, comments and trim markers. Everything else is a fault at its place.
struct TemplateExpansion {
    /// How many numbers one range may have: every port.
    static let maximumRange = 65536
    /// How many actions are carried out, loops counted as often as they turn.
    private static let maximumSteps = 1_000_000

    private enum Piece {
        case text(Range<Int>)
        case action(TemplateAction)
    }

    /// What a name stands for inside a loop.
    private enum Variable {
        case text(String)
        case pair(String, String)
    }

    private let source: SourceText
    private let environment: [String: String]
    private var pieces: [Piece] = []
    private var ends: [Int: Int] = [:]
    private var output: [UInt8] = []
    private var segments: [ExpandedText.Segment] = []
    private var variables: [(name: String, value: Variable)] = []
    private var dot: Variable?
    private var steps = 0
    private(set) var missing: [(name: String, position: SourcePosition)] = []

    /// Expands the text; environment variables that do not exist are empty, as in frp, and are named in `missing`.
    static func expand(
        _ source: SourceText,
        environment: [String: String]
    ) throws(SyntaxFault) -> (text: ExpandedText, missing: [(name: String, position: SourcePosition)]) {
        guard source.bytes.firstRange(of: "{{") != nil else {
            return (ExpandedText(verbatim: source), [])
        }
        var expansion = TemplateExpansion(source: source, environment: environment)
        try expansion.split()
        try expansion.run(0..<expansion.pieces.count)
        let text = ExpandedText(source: source, bytes: expansion.output, segments: expansion.segments)
        return (text, expansion.missing)
    }

    private init(source: SourceText, environment: [String: String]) {
        self.source = source
        self.environment = environment
    }

    private mutating func split() throws(SyntaxFault) {
        let bytes = source.bytes
        var textStart = 0
        var offset = 0
        while let open = bytes.firstRange(of: "{{", from: offset) {
            let action = try TemplateAction(in: source, at: open)
            var textEnd = open
            if action.trimsLeft {
                while textEnd > textStart, isSpace(bytes[textEnd - 1]) { textEnd -= 1 }
            }
            if textEnd > textStart { pieces.append(.text(textStart..<textEnd)) }
            pieces.append(.action(action))
            offset = action.end
            if action.trimsRight {
                while offset < bytes.count, isSpace(bytes[offset]) { offset += 1 }
            }
            textStart = offset
        }
        if textStart < bytes.count { pieces.append(.text(textStart..<bytes.count)) }
        try matchLoops()
    }

    private mutating func matchLoops() throws(SyntaxFault) {
        var open: [(index: Int, action: TemplateAction)] = []
        for (index, piece) in pieces.enumerated() {
            guard case .action(let action) = piece else { continue }
            if case .loop = action.kind { open.append((index, action)) }
            if case .end = action.kind {
                guard let start = open.popLast() else {
                    throw fault(action, Text("this end has no range", zh: "end 没有对应的 range"))
                }
                ends[start.index] = index
            }
        }
        if let last = open.last {
            throw fault(last.action, Text("this range has no end", zh: "range 没有对应的 end"))
        }
    }

    private mutating func run(_ range: Range<Int>) throws(SyntaxFault) {
        var index = range.lowerBound
        while index < range.upperBound {
            switch pieces[index] {
            case .text(let text):
                try append(source.bytes[text], from: text.lowerBound, isCopy: true)
            case .action(let action):
                try count(1, action)
                switch action.kind {
                case .comment: break
                case .output(let operand):
                    try append(Array(try text(operand, action).utf8)[...], from: action.start, isCopy: false)
                case .loop(let names, let list):
                    let end = ends[index] ?? range.upperBound
                    try loop(names, list, action, body: index + 1..<end)
                    index = end
                case .end: break
                }
            }
            index += 1
        }
    }

    private mutating func loop(
        _ names: [String],
        _ list: TemplateAction.List,
        _ action: TemplateAction,
        body: Range<Int>
    ) throws(SyntaxFault) {
        let values: [Variable]
        switch list {
        case .numbers(let operand):
            values = try numbers(operand, action).map { .text(String($0)) }
        case .pairs(let first, let second):
            let (left, right) = (try numbers(first, action), try numbers(second, action))
            guard left.count == right.count else {
                throw fault(
                    action,
                    Text(
                        "the two ranges have \(left.count) and \(right.count) numbers",
                        zh: "两个范围的数量不同:\(left.count) 和 \(right.count)"
                    )
                )
            }
            values = zip(left, right).map { .pair(String($0), String($1)) }
        }
        try count(values.count, action)
        let outer = (variables, dot)
        defer { (variables, dot) = outer }
        for (index, value) in values.enumerated() {
            variables = outer.0
            dot = value
            if names.count == 2 { variables.append((names[0], .text(String(index)))) }
            if let name = names.last { variables.append((name, value)) }
            try run(body)
        }
    }

    private mutating func count(_ number: Int, _ action: TemplateAction) throws(SyntaxFault) {
        steps += number
        guard steps <= Self.maximumSteps else {
            throw fault(action, Text("this template takes too many steps", zh: "模板的步骤过多"))
        }
    }

    private mutating func numbers(
        _ operand: TemplateAction.Operand,
        _ action: TemplateAction
    ) throws(SyntaxFault) -> [Int64] {
        let written = try text(operand, action)
        do {
            return try NumberRange.parse(written)
        } catch {
            throw fault(action, error.what)
        }
    }

    private mutating func text(
        _ operand: TemplateAction.Operand,
        _ action: TemplateAction
    ) throws(SyntaxFault) -> String {
        switch operand {
        case .literal(let text): return text
        case .environment(let name, let isRooted):
            guard isRooted || dot == nil else {
                throw fault(
                    action,
                    Text("inside a range this is written $.Envs.\(name)", zh: "在 range 中应写作 $.Envs.\(name)")
                )
            }
            guard let value = environment[name] else {
                if missing.count < 100, !isInComment(action) {
                    missing.append((name, source.position(of: action.start)))
                }
                return ""
            }
            return value
        case .variable(let name, let field):
            let found = name.isEmpty ? dot : variables.last { $0.name == name }?.value
            switch (found, field) {
            case (.text(let text), nil): return text
            case (.pair(let first, _), .first): return first
            case (.pair(_, let second), .second): return second
            case (.pair, nil):
                throw fault(action, Text("a pair has .First and .Second", zh: "数对要写 .First 或 .Second"))
            case (.text, _):
                throw fault(
                    action,
                    Text("only pairs have .First and .Second", zh: "只有数对才有 .First 和 .Second")
                )
            case (nil, _):
                let shown = name.isEmpty ? "." : name
                throw fault(action, Text("\(shown) has no value here", zh: "\(shown) 在这里没有值"))
            }
        }
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>, from start: Int, isCopy: Bool)
        throws(SyntaxFault)
    {
        guard output.count + bytes.count <= SourceText.maximumSize else {
            throw SyntaxFault(
                at: source.position(of: start),
                Text(
                    "the expanded template has more than \(SourceText.maximumSize) bytes",
                    zh: "模板展开后超过 \(SourceText.maximumSize) 字节"
                )
            )
        }
        guard !bytes.contains(0) else {
            throw SyntaxFault(at: source.position(of: start), Text("there is a NUL byte", zh: "有 NUL 字节"))
        }
        segments.append(.init(start: output.count, source: start, isCopy: isCopy))
        output.append(contentsOf: bytes)
    }

    private func fault(_ action: TemplateAction, _ what: Text) -> SyntaxFault {
        SyntaxFault(at: source.position(of: action.start), what)
    }

    /// Comments are expanded as well, but what is missing there is missed by nobody.
    private func isInComment(_ action: TemplateAction) -> Bool {
        let line = source.line(source.position(of: action.start).line).drop { $0 == " " }
        return line.first == "#" || line.first == ";"
    }

    private func isSpace(_ byte: UInt8) -> Bool {
        byte == 32 || byte == 9 || byte == 10 || byte == 13
    }
}

extension [UInt8] {
    /// Where the first occurrence of the text at or after `start` begins.
    func firstRange(of text: String, from start: Int = 0) -> Int? {
        let wanted = Array(text.utf8)
        guard let first = wanted.first, start >= 0 else { return nil }
        var index = start
        while index + wanted.count <= count {
            if self[index] == first, self[index..<index + wanted.count].elementsEqual(wanted) {
                return index
            }
            index += 1
        }
        return nil
    }
}
