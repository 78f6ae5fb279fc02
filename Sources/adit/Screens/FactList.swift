// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Facts as `label   value` lines of at most 80 columns, the values under each other.
struct FactList {
    static let columns = 80

    private let style: ScreenStyle
    private let labelWidth: Int
    private(set) var lines: [String] = []

    init(_ style: ScreenStyle, labelWidth: Int = 15) {
        self.style = style
        self.labelWidth = labelWidth
    }

    /// Adds a fact; `more` stands on lines of its own below it. A mark before the value is coloured.
    mutating func add(_ label: Text, _ value: Text, more: [Text] = []) {
        let label = style.spell(label.in(style.language))
        for (index, text) in ([value] + more).enumerated() {
            let head = index == 0 ? Figures.padded(label, labelWidth) : String(repeating: " ", count: labelWidth)
            append(head, text)
        }
    }

    /// Adds a line of a list under a heading.
    mutating func addItem(_ text: Text) {
        append("  " + style.spell("·") + " ", text)
    }

    /// Adds a line as it is.
    mutating func addLine(_ line: String) {
        lines.append(line.isEmpty ? "" : indent + line)
    }

    private var indent: String { style.isTerminal ? "  " : "" }

    private mutating func append(_ head: String, _ text: Text) {
        let words = style.spell(Foreign.clean(text.in(style.language)))
        let width = Self.columns - 2 - Figures.width(head)
        for (index, piece) in Self.wrapped(words, width).enumerated() {
            let margin = index == 0 ? head : String(repeating: " ", count: Figures.width(head))
            lines.append(indent + margin + painted(piece))
        }
    }

    private func painted(_ text: String) -> String {
        guard style.hasColor else { return text }
        return Self.colors.reduce(text) { text, pair in
            text.replacing(pair.mark, with: style.paint(pair.mark, pair.color))
        }
    }

    private static let colors: [(mark: String, color: ScreenStyle.Color)] = [("✓", .green), ("✗", .red)]

    /// The text in lines of at most so many columns, broken at spaces or between Chinese characters.
    static func wrapped(_ text: String, _ width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for unit in units(text) {
            if !line.isEmpty, Figures.width(line + unit.trimmed) > width {
                lines.append(line.trimmed)
                line = ""
            }
            line += line.isEmpty ? unit.leftTrimmed : unit
        }
        let rest = line.trimmed
        return rest.isEmpty && !lines.isEmpty ? lines : lines + [rest]
    }

    /// The pieces between which a line may be broken, each with the space that follows it.
    private static func units(_ text: String) -> [String] {
        var units: [String] = []
        var unit = ""
        for character in text {
            let isWide = Figures.width(String(character)) > 1
            if isWide, !unit.isEmpty, !closing.contains(character), !opening.contains(unit.last ?? " ") {
                units.append(unit)
                unit = ""
            }
            unit.append(character)
            if character == " " {
                units.append(unit)
                unit = ""
            }
        }
        return unit.isEmpty ? units : units + [unit]
    }

    /// What does not begin a line, and what does not end one.
    private static let closing: Set<Character> = ["，", "。", "：", "；", "）", "、", "”", "！", "？"]
    private static let opening: Set<Character> = ["（", "“"]
}

extension String {
    fileprivate var leftTrimmed: String { String(drop { $0 == " " }) }

    fileprivate var trimmed: String {
        var text = Substring(self)
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
