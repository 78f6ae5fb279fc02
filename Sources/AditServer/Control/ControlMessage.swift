// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import FoundationEssentials

/// What a command asks of the server that runs on the same state folder: one line of JSON.
package struct ControlRequest: Codable, Sendable, Equatable {
    /// The things that can be asked.
    package enum Command: String, Codable, Sendable, CaseIterable {
        /// Tell about yourself.
        case status
        /// Read the configuration again.
        case reload
        /// Stop when visitors are done; the connection ends when the process does.
        case stop
        /// Look at the store again: another command has changed it.
        case recheck
    }

    /// What is asked.
    package var command: Command

    /// Makes a request.
    package init(_ command: Command) {
        self.command = command
    }
}

/// The server's answer: one line of JSON.
package struct ControlReply: Codable, Sendable, Equatable {
    /// An error in both languages.
    package struct Fault: Codable, Sendable, Equatable {
        /// The number of the code.
        package var code: Int
        /// What happened, by language.
        package var what: [String: String]
        /// The measured facts, by language.
        package var why: [[String: String]]
        /// What mends it, by language.
        package var fix: [String: String]?

        /// The error for a person; an unknown code counts as one of the server process.
        package var error: AditError {
            AditError(
                ErrorCode(rawValue: code) ?? .serverProcess,
                Self.text(what),
                why: why.map(Self.text),
                fix: fix.map(Self.text)
            )
        }

        /// Puts an error into its travelling form.
        package init(_ error: AditError) {
            code = error.code.rawValue
            what = Self.object(error.what)
            why = error.why.map(Self.object)
            fix = error.fix.map(Self.object)
        }

        private static func object(_ text: Text) -> [String: String] {
            ["en": text.english, "zh": text.chinese]
        }

        private static func text(_ object: [String: String]) -> Text {
            Text(object["en"] ?? "", zh: object["zh"] ?? object["en"] ?? "")
        }
    }

    /// Present when the server tells about itself.
    package var status: ServerStatus?
    /// Present after a reload: what is in force now.
    package var changed: [String]?
    /// Present after a reload: what needs a restart.
    package var needsRestart: [String]?
    /// Present when the request was not done.
    package var fault: Fault?

    /// An answer without content.
    package init() {}

    /// An answer that carries an error.
    package init(_ error: AditError) {
        fault = Fault(error)
    }
}

/// One line of JSON.
enum ControlLine {
    /// No line is longer than this many bytes.
    static let maximumLength = 16 << 20
    /// No request is longer than this many bytes.
    static let maximumRequestLength = 4096

    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from line: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(line))
    }
}

extension ServerStatus {
    /// The status as one JSON object on one line.
    package func json() throws -> String {
        String(decoding: try ControlLine.encode(self).dropLast(), as: UTF8.self)
    }
}
