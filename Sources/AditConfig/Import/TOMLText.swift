// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Writes TOML line by line.
struct TOMLText {
    private(set) var lines: [String] = []

    /// A comment; what is not text for a screen is taken out.
    mutating func comment(_ text: String) {
        lines.append(text.isEmpty ? "#" : "# " + SourceText.printable(text))
    }

    /// An empty line.
    mutating func blank() {
        if let last = lines.last, !last.isEmpty { lines.append("") }
    }

    /// A line as it is.
    mutating func line(_ text: String) {
        lines.append(text)
    }

    mutating func set(_ key: String, _ value: String) {
        lines.append("\(key) = \(Self.quote(value))")
    }

    mutating func set(_ key: String, _ value: some FixedWidthInteger) {
        lines.append("\(key) = \(value)")
    }

    mutating func set(_ key: String, _ value: Bool) {
        lines.append("\(key) = \(value)")
    }

    mutating func set(_ key: String, _ values: [String]) {
        lines.append("\(key) = [" + values.map(Self.quote).joined(separator: ", ") + "]")
    }

    mutating func set(_ key: String, _ values: [String: String]) {
        let pairs = values.sorted { $0.key < $1.key }.map { "\(Self.quote($0.key)) = \(Self.quote($0.value))" }
        lines.append("\(key) = { " + pairs.joined(separator: ", ") + " }")
    }

    /// The text with a line end after the last line.
    var text: String { lines.joined(separator: "\n") + "\n" }

    /// A basic string (TOML 1.0, "String").
    static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 32 || scalar.value == 127:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
