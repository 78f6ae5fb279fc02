// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import ArgumentParser

/// `adit explain [CODE]`
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "More about an error, offline.",
        discussion: "Without a code, lists all of them."
    )

    @Argument(help: "An error's code, such as ADIT-201.")
    var code: String?

    @Option(help: "The language of the page: en or zh. Without it, the system's.")
    var language: Language?

    func run() throws {
        let style = ProcessFacts.style()
        let language = self.language ?? style.language
        guard let code else {
            return StandardStream.line(ExplainPage.list(in: language))
        }
        guard let known = ErrorCode(typed: code) else {
            throw AditError(
                .usage,
                Text(
                    "there is no code \(Foreign.clean(code, limit: 40))",
                    zh: "没有代码 \(Foreign.clean(code, limit: 40))"
                ),
                fix: Text("list all codes:  adit explain", zh: "列出全部代码：  adit explain")
            )
        }
        StandardStream.line(known.page.text(for: known, in: language))
    }
}

extension Language: ExpressibleByArgument {}
