// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig
import AditCore
package import Logging

/// Writes each log event as one line, in Adit's form or in frp's.
///
/// Adit: `2026-07-31 14:02:11.042 info  session  device joined  device=mei-laptop`.
/// frp: `2026-07-31 14:02:11.042 [I] [session] [run id] [proxy] device joined`.
/// What comes from outside cannot forge a line or drive a terminal: control characters are replaced.
package struct LineLogHandler: LogHandler {
    /// The shape of a line.
    package enum Style: Sendable, Hashable {
        case adit
        case frp
    }

    /// No line is longer than this many characters.
    package static let maximumLength = 2048

    /// The level of the output, common to every logger that writes there, so that a reload reaches them all.
    package var logLevel: Logger.Level {
        get { output.level }
        set { output.level = newValue }
    }
    package var metadata: Logger.Metadata = [:]
    private let style: Style
    private let source: String
    private let output: LogOutput

    /// Makes the handler of one logger; `label` is shown as the source of its lines.
    package init(label: String, style: Style, output: LogOutput) {
        source = label
        self.style = style
        self.output = output
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let own = event.metadata { fields.merge(own) { $1 } }
        output.write(
            Self.line(
                style,
                LogTime.now().text,
                event.level,
                source,
                "\(event.message)",
                fields.mapValues { "\($0)" }
            )
        )
    }

    static func line(
        _ style: Style,
        _ time: String,
        _ level: Logger.Level,
        _ source: String,
        _ message: String,
        _ fields: [String: String]
    ) -> String {
        var line = time
        var fields = fields
        switch style {
        case .adit:
            line += " \(word(level)) \(source)  \(printable(message))"
        case .frp:
            line += " [\(letter(level))] [\(source)]"
            if let run = fields.removeValue(forKey: "run") { line += " [\(printable(run))]" }
            if let proxy = fields.removeValue(forKey: "proxy") { line += " [\(printable(proxy))]" }
            line += " " + printable(message)
        }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) { line += "  \(key)=\(printable(value))" }
        return line.unicodeScalars.count > maximumLength ? String(line.prefix(maximumLength - 1)) + "…" : line
    }

    /// The text with every control character, and every character that turns the direction of text, replaced by `?`.
    package static func printable(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
        if isPlain { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                result.append("?")
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    private static func word(_ level: Logger.Level) -> String {
        switch level {
        case .trace: "trace"
        case .debug: "debug"
        case .info, .notice: "info "
        case .warning: "warn "
        case .error, .critical: "error"
        }
    }

    private static func letter(_ level: Logger.Level) -> String {
        switch level {
        case .trace: "T"
        case .debug: "D"
        case .info, .notice: "I"
        case .warning: "W"
        case .error, .critical: "E"
        }
    }
}

extension Logger.Level {
    /// The level of swift-log for a level of the configuration.
    package init(_ level: LogLevel) {
        switch level {
        case .error: self = .error
        case .warn: self = .warning
        case .info: self = .info
        case .debug: self = .debug
        case .trace: self = .trace
        }
    }
}
