// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One thing that is wrong in a configuration file, with its place.
package struct ConfigurationFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// Whether the file can be used in spite of it.
    package enum Severity: Sendable, Hashable {
        case error
        case warning
    }

    /// Whether the file can be used in spite of it.
    package var severity = Severity.error
    /// The file's name as the caller gave it.
    package var file: String
    /// Where in the file as it was written, before templates were expanded.
    package var position: SourcePosition
    /// The line at that place without its line end, at most 200 characters.
    package var line: String
    /// The key, such as `transport.tls.enable` or `proxies[2].localPort`; empty when no key is at fault.
    package var keyPath: String
    /// What is wrong, one sentence without a full stop.
    package var what: Text
    /// The next step, when one is known.
    package var hint: Text?
    /// The key that was probably meant.
    package var suggestion: String?

    /// `file:line:column: what (hint)` in English.
    package var description: String {
        describe(in: .english)
    }

    /// `file:line:column: what (hint)`.
    package func describe(in language: Language) -> String {
        var text = "\(file):\(position): \(what.in(language))"
        if let hint { text += " (\(hint.in(language)))" }
        return text
    }
}

/// Every fault of one configuration file, in the order of the file; at least one is an error.
package struct ConfigurationFaults: Error, Sendable, Equatable, CustomStringConvertible {
    /// The faults in the order of the file, never empty.
    package let faults: [ConfigurationFault]

    /// Makes it from at least one fault.
    package init(_ faults: [ConfigurationFault]) {
        precondition(!faults.isEmpty, "there is at least one fault")
        self.faults = faults.sorted { $0.position < $1.position }
    }

    /// The faults a line each, in English.
    package var description: String {
        faults.map(\.description).joined(separator: "\n")
    }

    /// The faults with the line of each below it, in English, for programs that speak frp's way.
    package var listing: String {
        faults.map { fault in
            fault.line.isEmpty ? fault.description : "\(fault.description)\n    \(fault.position.line) | \(fault.line)"
        }.joined(separator: "\n")
    }

    /// The same as an error for people: the first fault is what happened, each place with its line follows.
    package var error: AditError {
        let errors = faults.filter { $0.severity == .error }
        let first = errors.first ?? faults[0]
        var why: [Text] = []
        for fault in faults.prefix(20) {
            let place = "\(fault.file):\(fault.position): "
            var line = Text(place + fault.what.english, zh: place + fault.what.chinese)
            if let hint = fault.hint {
                line = Text(line.english + " (\(hint.english))", zh: line.chinese + "(\(hint.chinese))")
            }
            why.append(line)
            if !fault.line.isEmpty {
                why.append(Text(verbatim: "    \(fault.position.line) | \(fault.line)"))
            }
        }
        if faults.count > 20 {
            why.append(Text("and \(faults.count - 20) more", zh: "另有 \(faults.count - 20) 处"))
        }
        let what =
            errors.count == 1
            ? Text(
                "\(first.file) has a mistake in line \(first.position.line)",
                zh: "\(first.file) 第 \(first.position.line) 行有误"
            )
            : Text(
                "\(first.file) has \(errors.count) mistakes",
                zh: "\(first.file) 有 \(errors.count) 处错误"
            )
        return AditError(
            .configuration,
            what,
            why: why,
            fix: Text(
                "correct the file, then check it: adit config check \(first.file)",
                zh: "改正文件后检查:adit config check \(first.file)"
            )
        )
    }
}

/// A configuration that was read, with what is odd but not wrong.
package struct LoadedConfiguration<Configuration: Sendable & Equatable>: Sendable, Equatable {
    /// The configuration with every default filled in.
    package var configuration: Configuration
    /// What the person should know, in the order of the file.
    package var warnings: [ConfigurationFault]
    /// What the file is written in.
    package var format: ConfigurationFormat
}

/// What a configuration file is written in.
package enum ConfigurationFormat: String, Sendable, Hashable, CaseIterable {
    case toml
    case yaml
    case json
    case ini
}
