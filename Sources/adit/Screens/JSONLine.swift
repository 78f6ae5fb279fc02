// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// One JSON object on one line (RFC 8259), its members in the order in which they were added.
struct JSONLine: Sendable {
    /// A JSON value.
    indirect enum Value: Sendable {
        case string(String)
        case number(Int64)
        /// A number with a fraction; infinity and what is no number become null.
        case decimal(Double)
        case boolean(Bool)
        case array([Value])
        case object(JSONLine)
        case null
    }

    private var members: [(name: String, value: Value)] = []

    /// Makes an object from members; those whose value is nil are left out.
    init(_ members: KeyValuePairs<String, Value?> = [:]) {
        for (name, value) in members {
            if let value { self.members.append((name, value)) }
        }
    }

    /// Adds a member.
    mutating func add(_ name: String, _ value: Value) {
        members.append((name, value))
    }

    /// Adds the members of another object behind its own.
    mutating func add(_ other: JSONLine) {
        members += other.members
    }

    /// The object as text without a line break.
    var text: String {
        "{" + members.map { Self.quoted($0.name) + ":" + Self.text($0.value) }.joined(separator: ",") + "}"
    }

    private static func text(_ value: Value) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .number(let number): String(number)
        case .decimal(let number): number.isFinite ? String(number) : "null"
        case .boolean(let flag): flag ? "true" : "false"
        case .array(let values): "[" + values.map(text).joined(separator: ",") + "]"
        case .object(let object): object.text
        case .null: "null"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension JSONLine.Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int64) { self = .number(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }

    /// Strings as an array.
    static func strings(_ strings: [String]) -> JSONLine.Value { .array(strings.map { .string($0) }) }

    /// An error with its words in one language.
    static func error(_ error: AditError, _ language: Language) -> JSONLine.Value {
        .object(
            JSONLine([
                "code": .string(error.code.description), "what": .string(error.what.in(language)),
                "why": .strings(error.why.map { $0.in(language) }),
                "fix": error.fix.map { .string($0.in(language)) },
            ])
        )
    }
}
