// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import ArgumentParser
import Glibc
import Logging

/// Shows why a command failed, and chooses its exit code.
enum CommandFailure {
    /// Shows the error on standard error and answers with the exit code: 1 for a problem, 2 for wrong usage, 3 when
    /// the server was not reached.
    @discardableResult
    static func show(_ error: any Error) -> Int32 {
        let style = ProcessFacts.asideStyle()
        switch error {
        case let code as ExitCode: return code.rawValue
        case let error as AditError:
            lines(error, style)
            return error.code == .usage ? 2 : 1
        case let error as Unreachable:
            lines(error.error, style)
            return 3
        case let faults as ConfigurationFaults:
            lines(faults.error, style)
            return 1
        default:
            let code = AditCommand.exitCode(for: error)
            let text = AditCommand.fullMessage(for: error)
            guard code.rawValue != 0 else {
                StandardStream.line(text)
                return 0
            }
            if !text.isEmpty { StandardStream.aside(text) }
            return code == .validationFailure ? 2 : 1
        }
    }

    private static func lines(_ error: AditError, _ style: ScreenStyle) {
        for line in ErrorWords.lines(error, style) { StandardStream.aside(line) }
    }
}

/// The log of commands whose screen tells everything.
enum CommandLog {
    /// A logger that writes nothing.
    static let silent = Logger(label: "adit") { _ in SwiftLogNoOpLogHandler() }
}
