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

    @Flag(help: "Search for no ports: for metered or watched lines.")
    var quiet = false

    @Flag(help: "The steps of punching and of searching for ports, on standard error.")
    var trace = false

    @Flag(help: "One JSON object a line; the last one is the result.")
    var json = false

    @OptionGroup var server: ServerOptions

    func validate() throws {
        if let count, !(1...1_000_000).contains(count) { throw ValidationError("--count is from 1 to 1000000") }
        if name.isEmpty || name.utf8.count > 256 { throw ValidationError("NAME is the name of a device") }
    }

    /// Whether a process that runs already can answer: nothing was asked for that it may do differently.
    var isPlain: Bool { p2p == nil && tactic.isEmpty && !quiet && !trace && server.server == nil && server.wire == nil }

    func run() async throws {
        let limit: Duration
        do {
            limit = try timeout.map(DurationText.parse) ?? .seconds(30)
        } catch {
            throw ValidationError(error.what.in(ProcessFacts.style().language))
        }
        let home = try ProcessFacts.home()
        try home.prepare()
        let choice = try server.choice(home: home)
        var options = PathOptions()
        options.policy = p2p ?? .automatic
        options.tactics = tactic.isEmpty ? nil : Set(tactic)
        options.isQuiet = quiet
        let settings = PingModel.Settings(isJSON: json, traces: trace, count: count)
        try await PingRun(peer: name, settings: settings, options: options, limit: limit)
            .run(home: home, choice: choice)
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
