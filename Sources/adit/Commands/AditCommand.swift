// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `adit`
struct AditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adit",
        abstract: "Makes a machine behind NAT reachable.",
        version: VersionCommand.version,
        subcommands: [
            JoinCommand.self, HTTPCommand.self, TCPCommand.self, UDPCommand.self, GameCommand.self, TLSCommand.self,
            ExposeCommand.self, ConnectCommand.self, SSHCommand.self, PlayCommand.self, MapCommand.self, UpCommand.self,
            PingCommand.self, TrustCommand.self,
            ClientCommand.self, StatusCommand.self, DoctorCommand.self,
            ServerCommand.self, ConfigCommand.self, LabCommand.self, ExplainCommand.self, FRPServerCommand.self,
            FRPClientCommand.self, VersionCommand.self,
        ]
    )

    func run() {
        for line in Welcome.lines(ProcessFacts.style()) { StandardStream.line(line) }
    }

    /// Parses and runs a command line without the program's name; the exit code.
    static func execute(_ arguments: [String]) async -> Int32 {
        do {
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return 0
        } catch {
            let code = CommandFailure.show(error)
            // frp's programs know one exit code for everything that is wrong, also for usage.
            let isFRP = arguments.first == "frpc" || arguments.first == "frps"
            return isFRP ? min(code, 1) : code
        }
    }
}
