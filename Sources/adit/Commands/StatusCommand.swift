// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
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

    private struct Path: Encodable {
        let process: Int32
        let peer: String
        let path: String
        let transport: String?
        let roundTripMs: Double?
        let since: Int64
        let endedAt: Int64?
        let tactic: String?
        let reason: String
        let localNAT: String?
        let remoteNAT: String?
        let local: String?
        let remote: String?
        let packetsSpent: Int

        init(_ process: DeviceStatus, _ path: DeviceStatus.Path, _ language: Language) {
            self.process = process.pid
            peer = path.peer
            self.path = path.kind
            transport = path.transport
            roundTripMs = path.roundTripMs
            since = path.since
            endedAt = path.endedAt
            tactic = path.tactic
            func spoken(_ words: DeviceStatus.Path.Words) -> String { language == .chinese ? words.zh : words.en }
            reason = spoken(path.reason)
            localNAT = path.localNAT.map(spoken)
            remoteNAT = path.remoteNAT.map(spoken)
            local = path.local
            remote = path.remote
            packetsSpent = path.packetsSpent
        }
    }

    /// What `--json` prints; members are only ever added.
    private struct Report: Encodable {
        let home: String
        let servers: [JoinedServer]
        let processes: [DeviceStatus]
        /// The paths of all processes, with the reason in the language of this person.
        let paths: [Path]
        /// The fingerprint of this device's key.
        let deviceKey: String?
    }

    func run() throws {
        let home = try ProcessFacts.home()
        let servers = try home.servers()
        let processes = StatusSocket.askAll(in: home)
        let style = ProcessFacts.style()
        // A key is made at the first join, not by looking for it.
        let key = servers.isEmpty ? nil : try? home.deviceKey().publicKey.fingerprint
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let paths = processes.flatMap { process in
                (process.paths ?? []).map { Path(process, $0, style.language) }
            }
            let report = Report(
                home: home.path,
                servers: servers.map(\.withoutSecrets),
                processes: processes,
                paths: paths,
                deviceKey: key
            )
            return StandardStream.line(String(decoding: try encoder.encode(report), as: UTF8.self))
        }
        let now = ScreenTime.now().seconds
        for line in StatusWords.lines(servers, processes, key: key, now: now, style) { StandardStream.line(line) }
    }
}
