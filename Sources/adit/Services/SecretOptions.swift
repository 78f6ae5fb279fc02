// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import ArgumentParser

/// The secret of a service, from a file or the environment: a flag can be read by everybody who is on this machine.
struct SecretOptions: ParsableArguments {
    @Option(
        name: .customLong("secret-file"),
        help: ArgumentHelp(
            "A file whose first line visitors have to know too. Also read from $ADIT_SECRET.",
            valueName: "file"
        )
    )
    var file: String?

    /// The secret; empty for none.
    func secret(environment: [String: String] = ProcessFacts.environment()) throws -> String {
        guard let file else { return environment["ADIT_SECRET"] ?? "" }
        let text = String(decoding: try TextFile.bytes(at: file), as: UTF8.self)
        let line = String(text.prefix { !$0.isNewline })
        // An empty file must not open the service to those who know nothing.
        guard !line.isEmpty, line.utf8.count <= 1024 else {
            throw ValidationError("the first line of \(file) is no secret: 1 to 1024 bytes")
        }
        return line
    }
}
