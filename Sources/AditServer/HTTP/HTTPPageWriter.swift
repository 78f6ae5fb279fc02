// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import NIOHTTP1

/// Writes a page as a whole response: HTML for browsers, one line of text for programs.
struct HTTPPageWriter {
    let page: HTTPPage
    let now: UnixTime
    let isHead: Bool
    let isHTTP10: Bool
    let keepAlive: Bool
    /// A page of the server's owner instead of the one for unknown names.
    let replacement: [UInt8]?
    private let wantsHTML: Bool
    private let language: Language

    /// `head` is nil when the request could not be read so far.
    init(
        _ page: HTTPPage,
        for head: HTTPRequestHead?,
        keepAlive: Bool,
        now: UnixTime,
        replacement: [UInt8]? = nil
    ) {
        self.page = page
        self.now = now
        self.keepAlive = keepAlive
        isHead = head?.method == .HEAD
        isHTTP10 = head?.version.minor == 0
        wantsHTML = head.map(HTTPPreference.wantsHTML) ?? false
        language = head.map(HTTPPreference.language) ?? .english
        self.replacement = page.isReplaceable ? replacement : nil
    }

    func write(into buffer: inout ByteBuffer) {
        let body = wantsHTML ? replacement ?? Array(html.utf8) : Array(line.utf8)
        buffer.writeStatusLine(page.status)
        buffer.writeField("Date", HTTPDate(now).field)
        buffer.writeField("Content-Type", wantsHTML ? "text/html; charset=utf-8" : "text/plain; charset=utf-8")
        buffer.writeField("Content-Length", String(body.count))
        buffer.writeStaticString("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n")
        buffer.writeField("Adit-Error", page.code.description)
        if let seconds = page.retryAfter { buffer.writeField("Retry-After", String(seconds)) }
        for field in page.fields { buffer.writeField(field.name, field.value) }
        if wantsHTML, replacement == nil {
            buffer.writeField("Content-Language", language == .chinese ? "zh-Hans" : "en")
            buffer.writeField("Content-Security-Policy", Self.policy)
            buffer.writeStaticString("Referrer-Policy: no-referrer\r\nVary: Accept, Accept-Language\r\n")
        }
        buffer.writeConnection(keepAlive: keepAlive, isHTTP10: isHTTP10)
        buffer.writeStaticString("\r\n")
        if !isHead { buffer.writeBytes(body) }
    }

    /// One line for programs.
    private var line: String {
        let lines = page.lines.map { $0.in(language) }.joined(separator: language == .chinese ? "" : " ")
        return Self.visible("\(page.code)  \(page.title.in(language)): \(lines)") + "\n"
    }

    private var html: String {
        let title = Self.escape(page.title.in(language))
        let lines = page.lines.map { "<p>\(Self.escape($0.in(language)))</p>" }.joined(separator: "\n")
        let reload = page.retryAfter.map { "<meta http-equiv=\"refresh\" content=\"\($0)\">\n" } ?? ""
        return """
            <!doctype html>
            <html lang="\(language == .chinese ? "zh-Hans" : "en")">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex">
            \(reload)<title>\(title)</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            <h1>\(title)</h1>
            \(lines)
            <p class="code">\(page.status.code) · \(page.code)</p>
            </main>
            </body>
            </html>

            """
    }

    /// Text as HTML shows it, in content and in quoted attributes.
    static func escape(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count + 16)
        for scalar in visible(text).unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// Text without what drives a terminal or turns the direction of writing.
    static func visible(_ text: String) -> String {
        var visible = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: visible += "\u{FFFD}"
            default: visible.unicodeScalars.append(scalar)
            }
        }
        return visible
    }

    /// The only style; its hash is part of `policy`.
    static let style =
        ":root{color-scheme:light dark}"
        + "body{margin:0;min-height:100vh;display:grid;place-items:center;font:17px/1.6 system-ui,sans-serif;"
        + "background:#f7f6f3;color:#22211f}"
        + "main{max-width:34rem;padding:2rem}"
        + "h1{font-size:1.6rem;line-height:1.3;margin:0 0 1rem;overflow-wrap:anywhere}"
        + "p{margin:.5rem 0;overflow-wrap:anywhere}"
        + ".code{margin-top:2rem;font:14px ui-monospace,monospace;color:#77736b}"
        + "@media(prefers-color-scheme:dark){body{background:#191817;color:#e8e6e1}.code{color:#98938a}}"

    /// Nothing but the one style may load or run, and nobody may frame the page.
    static let policy =
        "default-src 'none'; style-src 'sha256-8aA5xcOtXzbY0upHVjXvdaxpK1S3xA5c/ljlOZyu3r4='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
