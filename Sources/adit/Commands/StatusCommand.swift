// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import ArgumentParser
import FoundationEssentials

/// `adit status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "The servers this computer joined, and what runs."
    )

    @Flag(help: "One JSON object.")
    var json = false

    /// What `--json` prints; members are only ever added.
    private struct Report: Encodable {
        let home: String
        let servers: [JoinedServer]
        let processes: [DeviceStatus]
    }

    func run() throws {
        let home = try ProcessFacts.home()
        let servers = try home.servers()
        let processes = StatusSocket.askAll(in: home)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let data = try encoder.encode(
                Report(home: home.path, servers: servers.map(\.withoutSecrets), processes: processes)
            )
            return StandardStream.line(String(decoding: data, as: UTF8.self))
        }
        let now = ScreenTime.now().seconds
        for line in StatusWords.lines(servers, processes, now: now, ProcessFacts.style()) {
            StandardStream.line(line)
        }
    }
}
