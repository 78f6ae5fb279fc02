// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `adit version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "The version of this program.")

    /// The version of Adit, by semantic versioning 2.0.0.
    static let version = "0.1.0"
    /// The version of frp whose wire and files Adit's frp roles follow; scripts compare it.
    static let frpVersion = "0.70.1"

    func run() {
        StandardStream.line("adit \(Self.version)")
    }
}
