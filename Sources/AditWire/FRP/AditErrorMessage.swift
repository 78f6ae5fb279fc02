// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An `AditError` as it travels: the object named `error` inside the `adit` objects (docs/wire.md).
package struct AditErrorMessage: Sendable, Equatable {
    /// The number of the code; a newer peer may send one that this version does not know.
    package var code: Int
    package var what: Text
    package var why: [Text]
    package var fix: Text?

    /// Puts an error into its travelling form.
    package init(_ error: AditError) {
        self.init(code: error.code.rawValue, what: error.what, why: error.why, fix: error.fix)
    }

    private init(code: Int, what: Text, why: [Text], fix: Text?) {
        self.code = code
        self.what = what
        self.why = why
        self.fix = fix
    }

    /// The error; an unknown code is shown in its own line under the code for a peer that cannot be understood.
    package var error: AditError {
        if let known = ErrorCode(rawValue: code) { return AditError(known, what, why: why, fix: fix) }
        let unknown = Text("the other side's code is ADIT-\(code)", zh: "对方给出的代码是 ADIT-\(code)")
        return AditError(.protocolBroken, what, why: why + [unknown], fix: fix)
    }
}

extension AditErrorMessage: JSONMessage {
    private enum Key: String, CodingKey { case code, what, why, fix }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        let what: TextMessage? = try fields.object(.what)
        let fix: TextMessage? = try fields.object(.fix)
        let why: [TextMessage] = try fields.objects(.why)
        self.init(
            code: try fields.number(.code),
            what: what?.text ?? "",
            why: why.map(\.text),
            fix: fix?.text
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("code", code)
        object.field("what", TextMessage(text: what))
        object.field("why", why.map(TextMessage.init(text:)))
        object.field("fix", fix.map(TextMessage.init(text:)))
    }
}

private struct TextMessage: JSONMessage {
    var text: Text

    private enum Key: String, CodingKey {
        case english = "en"
        case chinese = "zh"
    }

    init(text: Text) {
        self.text = text
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        let english = try fields.text(.english)
        let chinese = try fields.text(.chinese)
        text = Text(english.isEmpty ? chinese : english, zh: chinese.isEmpty ? english : chinese)
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("en", text.english)
        object.field("zh", text.chinese)
    }
}
