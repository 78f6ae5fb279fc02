// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import NIOHPACK
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
    private let isGRPC: Bool

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
        isGRPC = head.map { HTTPPreference.isGRPC($0) } ?? false
        self.replacement = page.isReplaceable ? replacement : nil
    }

    func write(into buffer: inout ByteBuffer) {
        let body = body
        buffer.writeStatusLine(page.status)
        fields(of: body) { buffer.writeField($0, $1) }
        buffer.writeConnection(keepAlive: keepAlive, isHTTP10: isHTTP10)
        buffer.writeStaticString("\r\n")
        if !isHead { buffer.writeBytes(body) }
    }

    /// The page in HTTP/2: its fields, and its content when there is one.
    var http2: (fields: HPACKHeaders, body: ByteBuffer?) {
        var section = HPACKHeaders()
        if isGRPC {
            // A response of trailers alone: the call's library shows the line (gRPC over HTTP/2, "Trailers-Only").
            section.add(name: ":status", value: "200")
            section.add(name: "content-type", value: "application/grpc")
            section.add(name: "grpc-status", value: String(Self.grpcStatus(page.status.code)))
            section.add(name: "grpc-message", value: Self.percentEncoded(line))
            section.add(name: "adit-error", value: page.code.description)
            return (section, nil)
        }
        let body = body
        section.add(name: ":status", value: String(page.status.code))
        fields(of: body) { section.add(name: HTTPField.lowercased($0), value: $1) }
        return (section, isHead ? nil : ByteBuffer(bytes: body))
    }

    private var body: [UInt8] {
        wantsHTML ? replacement ?? Array(html.utf8) : Array(line.utf8)
    }

    private func fields(of body: [UInt8], _ write: (String, String) -> Void) {
        write("Date", HTTPDate(now).field)
        write("Content-Type", wantsHTML ? "text/html; charset=utf-8" : "text/plain; charset=utf-8")
        write("Content-Length", String(body.count))
        write("Cache-Control", "no-store")
        write("X-Content-Type-Options", "nosniff")
        write("Adit-Error", page.code.description)
        if let seconds = page.retryAfter { write("Retry-After", String(seconds)) }
        for field in page.fields { write(field.name, field.value) }
        guard wantsHTML, replacement == nil else { return }
        write("Content-Language", language == .chinese ? "zh-Hans" : "en")
        write("Content-Security-Policy", Self.policy)
        write("Referrer-Policy", "no-referrer")
        write("Vary", "Accept, Accept-Language")
    }

    /// The status of gRPC that a status of HTTP means (gRPC, "HTTP to gRPC Status Code Mapping").
    private static func grpcStatus(_ status: UInt) -> Int {
        switch status {
        case 400, 431: 13
        case 401: 16
        case 403: 7
        case 404: 12
        case 408, 504: 4
        case 429, 502, 503: 14
        default: 2
        }
    }

    /// A line as `grpc-message` has it: visible ASCII without `%`, and the rest percent-encoded.
    private static func percentEncoded(_ line: String) -> String {
        var encoded = ""
        for byte in line.utf8 where byte != UInt8(ascii: "\n") {
            if byte >= 32, byte < 127, byte != UInt8(ascii: "%") {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.utf8.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        return encoded
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
