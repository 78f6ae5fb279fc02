// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Something that a person has to know: what happened, why with measured facts, and one next step.
///
/// It is shown as three parts: `✗ ADIT-201  what`, the lines of `why`, and `fix:` with a command to paste.
package struct AditError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The stable code, explained offline by `adit explain`.
    package var code: ErrorCode
    /// What happened, one sentence without a full stop.
    package var what: Text
    /// The measured facts behind it, a line each.
    package var why: [Text]
    /// One command or action that mends it; nil when the person can do nothing.
    package var fix: Text?

    /// Makes an error from its parts.
    package init(_ code: ErrorCode, _ what: Text, why: [Text] = [], fix: Text? = nil) {
        self.code = code
        self.what = what
        self.why = why
        self.fix = fix
    }

    /// The error on one line in English, for logs.
    package var description: String {
        var line = "\(code): \(what.english)"
        if !why.isEmpty { line += " (" + why.map(\.english).joined(separator: "; ") + ")" }
        if let fix { line += "; fix: " + fix.english }
        return line
    }
}
