// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// How words reach this person: language, alphabet, colour, terminal or not.
struct ScreenStyle: Sendable, Equatable {
    var language = Language.english
    var isUnicode = true
    var hasColor = false
    var isTerminal = false

    init(language: Language = .english, isUnicode: Bool = true, hasColor: Bool = false, isTerminal: Bool = false) {
        self.language = language
        self.isUnicode = isUnicode
        self.hasColor = hasColor
        self.isTerminal = isTerminal
    }

    /// Reads the locale by the rules of POSIX: the first of LC_ALL, LC_MESSAGES (LC_CTYPE for the alphabet) and LANG
    /// that is set and not empty. Chinese is spoken only where the alphabet has it.
    init(environment: [String: String], isTerminal: Bool) {
        func locale(_ category: String) -> String {
            for name in ["LC_ALL", category, "LANG"] {
                if let value = environment[name], !value.isEmpty { return value }
            }
            return "C"
        }
        let alphabet = locale("LC_CTYPE").lowercased()
        isUnicode = alphabet.contains("utf-8") || alphabet.contains("utf8")
        language = isUnicode ? Language(locale: locale("LC_MESSAGES")) : .english
        self.isTerminal = isTerminal
        let noColor = environment["NO_COLOR"] ?? ""
        hasColor = isTerminal && noColor.isEmpty && environment["TERM"] != "dumb"
    }

    /// The colours that carry a meaning beside the marks.
    enum Color: String {
        case bold = "1"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case dim = "2"
    }

    /// The text in a colour where colours are shown.
    func paint(_ text: String, _ color: Color) -> String {
        hasColor ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// The text in this person's alphabet: every character as it is, or its nearest spelling in ASCII.
    func spell(_ text: String) -> String {
        if isUnicode { return text }
        var spelled = ""
        for character in text {
            switch character {
            case "✓": spelled += "OK"
            case "✗": spelled += "X"
            case "·": spelled += "-"
            case "…": spelled += "..."
            case "→": spelled += "->"
            case "─": spelled += "-"
            case "↓": spelled += "in"
            case "↑": spelled += "out"
            case "“", "”": spelled += "\""
            default: spelled.append(character.isASCII ? character : "?")
            }
        }
        return spelled
    }
}

/// Text from outside made harmless for a terminal and for a log.
enum Foreign {
    /// The text without control characters and without marks that change the direction of writing, at most `limit`
    /// characters long.
    static func clean(_ text: String, limit: Int = 512) -> String {
        var scalars = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < limit else {
                scalars.append("…")
                break
            }
            switch scalar.value {
            case 0..<32, 127..<160, 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB,
                0xE0000...0xE0FFF:
                continue
            default:
                scalars.append(scalar)
                count += 1
            }
        }
        return String(scalars)
    }
}
