// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore

/// An error as lines: what happened, why with measured facts, and what mends it.
enum ErrorWords {
    /// On a terminal a line for each part, elsewhere all of it on one line.
    static func lines(_ error: AditError, _ style: ScreenStyle, prefix: String = "") -> [String] {
        let isWarning = error.code == .riskyPort || error.code == .hostRejected
        let sign = style.paint(style.spell(isWarning ? "!" : "✗"), isWarning ? .yellow : .red)
        let what = style.spell(prefix + Foreign.clean(error.what.in(style.language)))
        let why = error.why.map { style.spell(Foreign.clean($0.in(style.language))) }
        let label = Text("fix: ", zh: "解决：").in(style.language)
        let fix = error.fix.map { style.spell(label + Foreign.clean($0.in(style.language))) }
        guard style.isTerminal else {
            return [(["\(sign) \(error.code)  \(what)"] + why + (fix.map { [$0] } ?? [])).joined(separator: " | ")]
        }
        return ["  \(sign) \(error.code)  \(what)"] + why.map { "    " + $0 } + (fix.map { ["    " + $0] } ?? [])
    }
}

/// Who may come in, in words.
enum AccessWords {
    /// `anyone with the link`, or what narrows it, and until when.
    static func access(_ order: TunnelOrder, _ tunnel: OpenTunnel, _ language: Language) -> String {
        var parts: [Text] = []
        if !order.auth.isEmpty { parts.append(Text("whoever has the password", zh: "知道密码的人")) }
        if !order.allow.isEmpty {
            let blocks = order.allow.map(\.description).joined(separator: ", ")
            parts.append(Text("only from \(blocks)", zh: "仅来自 \(blocks)"))
        }
        let isOpen = parts.isEmpty
        if isOpen {
            parts.append(
                order.kind == .http
                    ? Text("anyone with the link", zh: "任何拿到链接的人") : Text("anyone with the address", zh: "任何知道地址的人")
            )
        }
        if let duration = order.expiresIn {
            let figure = Figures.duration(duration)
            parts.append(Text("closes after \(figure)", zh: "\(figure) 后关闭"))
        }
        var words = parts.map { $0.in(language) }.joined(separator: " · ")
        if isOpen {
            let flags = order.kind == .http ? "--auth  --allow  --expires" : "--allow  --expires"
            words += "    " + Text("narrow it: ", zh: "收紧：").in(language) + flags
        }
        return words
    }
}
