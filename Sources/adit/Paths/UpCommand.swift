// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import ArgumentParser

/// `adit up`
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Stays reachable for your other devices, without a tunnel.",
        discussion: "They reach it by the name that the server gave it:  adit ping NAME"
    )

    @OptionGroup var session: SessionOptions

    func run() async throws {
        if session.paths.noPaths { throw ValidationError("adit up is for paths; leave --no-paths away") }
        if session.urlOnly { throw ValidationError("adit up has no address") }
        try await TunnelRun(orders: [], session: session).run()
    }
}
