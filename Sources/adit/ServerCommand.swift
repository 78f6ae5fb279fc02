// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `adit server`
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "On the machine with the public address: run it, invite devices, look at it.",
        subcommands: [
            ServerRunCommand.self, ServerInitCommand.self, ServerInviteCommand.self, ServerDevicesCommand.self,
            ServerStatusCommand.self, ServerReloadCommand.self, ServerStopCommand.self,
        ],
        defaultSubcommand: ServerRunCommand.self
    )
}
