// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditTraversal
import AditWire
import ArgumentParser

/// `adit ping NAME`
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        abstract: "The path to another device: relayed or direct, how fast, and why.",
        discussion: "The other device has to run anything of Adit: a tunnel, or  adit up."
    )

    @Argument(help: "The other device, by its name at the server.")
    var name: String

    @Option(help: ArgumentHelp("Measure so many round trips, one a second.", valueName: "number"))
    var count: Int?

    @Option(help: ArgumentHelp("Look for a better path no longer than this. (30s)", valueName: "time"))
    var timeout: String?

    @Option(
        help: ArgumentHelp(
            "auto (relayed at once, then direct), only (direct), off (relayed). (auto)",
            valueName: "auto|only|off"
        )
    )
    var p2p: PathPolicy?

    @Option(
        help: ArgumentHelp(
            "Look for a direct path by this alone; may be repeated: \(PathTactic.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "tactic"
        )
    )
    var tactic: [PathTactic] = []

    @Flag(
        name: .customLong("port-blocks"),
        help: "Search for ports where both carriers draw them from small blocks, when the other device does so too."
    )
    var portBlocks = false

    @Flag(help: "Search for no ports: for metered or watched lines.")
    var quiet = false

    @Flag(help: "The steps of punching and of searching for ports, on standard error.")
    var trace = false

    @Flag(help: "One JSON object a line; the last one is the result.")
    var json = false

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let limit = try checkedLimit()
        let home = try ProcessFacts.home()
        try home.prepare()
        let choice = try server.choice(home: home)
        var options = PathOptions()
        options.policy = p2p ?? .automatic
        if portBlocks { options.tactics = PathTactic.withPortBlocks }
        if !tactic.isEmpty { options.tactics = Set(tactic) }
        options.isQuiet = quiet
        let settings = PingModel.Settings(isJSON: json, traces: trace, count: count)
        try await PingRun(peer: name, settings: settings, options: options, limit: limit)
            .run(home: home, choice: choice)
    }
}

extension PingCommand {
    /// How long it looks, once every word is found to be one.
    private func checkedLimit() throws(AditError) -> Duration {
        func refusal(_ what: Text) -> AditError {
            AditError(.usage, what, fix: Text(verbatim: "adit ping --help"))
        }
        if let count, !(1...1_000_000).contains(count) {
            throw refusal(Text("--count is from 1 to 1000000", zh: "--count 的取值为 1 到 1000000"))
        }
        guard 1...256 ~= name.utf8.count else {
            throw refusal(Text("NAME is the name of a device, of at most 256 bytes", zh: "NAME 是设备名称，最长 256 字节"))
        }
        guard let timeout else { return .seconds(30) }
        do {
            return try DurationText.parse(timeout)
        } catch {
            throw refusal(Text("--timeout: \(error.what.english)", zh: "--timeout：\(error.what.chinese)"))
        }
    }
}

/// Which server: flags of commands that open no tunnels.
struct ServerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server, without joining it.", valueName: "host:port"))
    var server: String?

    @Option(help: ArgumentHelp("The server's token, or an invite. Also read from $ADIT_TOKEN.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("The server's key, when no public authority vouches for it.", valueName: "SHA256:…"))
    var fingerprint: String?

    @Option(
        help: ArgumentHelp("The framing of the session. (v2, or what this server was joined with)", valueName: "v1|v2")
    )
    var wire: FRPWireVersion?

    /// The server and what both sides show.
    func choice(home: DeviceHome) throws(AditError) -> ServerChoice {
        let fromEnvironment = server == nil ? nil : ProcessFacts.environment()["ADIT_TOKEN"]
        var choice = try ServerChoice.choose(
            server: server,
            token: token ?? fromEnvironment,
            fingerprint: fingerprint,
            home: home
        )
        if let wire { choice.wireVersion = wire }
        return choice
    }
}
